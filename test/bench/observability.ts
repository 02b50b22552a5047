import { openCoordinatorMetrics, type CoordinatorMetrics } from '@showtell/coordinator/metrics.js';
import { observe } from '@showtell/coordinator/observe.js';
import type { RunEvent } from '@showtell/coordinator/run.js';
import { StepTraces } from '@showtell/coordinator/step-traces.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { openLog } from '@showtell/shared/service/log.js';
import { openTracing } from '@showtell/shared/service/open-tracing.js';
import { noTracing, type Tracing } from '@showtell/shared/service/tracing.js';
import { openOperatorMetrics } from '@showtell/coordinator/kubernetes/operator/metrics.js';
import { openShardMetrics } from '@showtell/coordinator/parameter-server/shard-metrics.js';
import { openWorkerMetrics, type WorkerMetrics } from '@showtell/worker/metrics.js';
import { openServeMetrics } from '@showtell/worker/serve/metrics.js';
import type { BenchFigure } from './figure.js';
import { median } from './median.js';
import { OtlpReceiver } from '../support/otlp-receiver.js';

const command = 'npm run bench -- --only observability';
const units = 4;

function figure(name: string, ours: number, target: number | null): BenchFigure {
  return { name, ours, peer: null, ratio: null, target, unit: 'ms', command };
}

function stepEvent(step: number): RunEvent {
  const accepted = Array.from({ length: units }, (_, index) => ({
    ...{ step, index, staleness: null, worker: `worker-${index}`, attempt: 1, examples: 8, tokens: 90, lossSum: 200 },
    ...{ skipped: [], dataSeconds: 0.01, computeSeconds: 0.2 + index / 100 },
  }));
  const seconds = { wait: 0.21, sum: 0.01, update: 0.005, publish: 0.001 };
  const counted = { loss: 2.3, tokens: 360, examples: 32, gradientNorm: 1.2, clipScale: 1, missing: [] };
  const result = { step, ...counted, accepted, seconds };
  const where = { step: step + 1, totalSteps: 100_000, examples: 32 * step, phase: 'joint' } as const;
  return { type: 'step', ...where, learningRate: 0.1, result, seconds: 0.25 };
}

/** What the workers of a step's units set and count, as `compute-unit.ts` does, in one process. */
function noteUnits({ series }: WorkerMetrics, step: number): void {
  const way = 'shared-memory';
  for (let index = 0; index < units; index++) {
    series.wait.inc({ cause: 'unit' }, 0.01);
    series.wait.inc({ cause: 'parameters' }, 0.01);
    series.version.set(step);
    series.exchange.observe({ direction: 'pull', way }, 0.01);
    for (const by of ['shared-memory', 'grpc'] as const)
      series.exchangeBytes.inc({ direction: 'received', way: by }, by === way ? 1e8 : 0);
    series.wait.inc({ cause: 'data' }, 0.001);
    series.decode.observe(0.05);
    series.images.inc({ source: 'decoded' }, 8);
    series.images.inc({ source: 'feature-cache' }, 0);
    series.compute.observe({ kind: 'train', phase: 'joint' }, 0.2);
    series.exchange.observe({ direction: 'push', way }, 0.01);
    series.exchangeBytes.inc({ direction: 'sent', way }, 1e8);
    series.units.inc({ outcome: 'accepted' });
    series.examples.inc(8);
  }
}

/** What a coordinator and its parameter server note of one step, spans of units included as a worker makes them. */
function traceStep(traces: StepTraces, tracing: Tracing, step: number): void {
  for (let index = 0; index < units; index++) {
    const id = { run: 'bench', generation: 1, lineage: 1, step, index, attempt: 1, evaluation: false };
    const offer = traces.offer(id, 'now');
    const unit = tracing.continue(offer.carrier, 'unit', { attributes: { 'showtell.step': step } });
    offer.end();
    unit.child('prepare').end();
    unit.child('compute').end();
    const push = unit.child('push');
    tracing.continue(push.carrier, 'sum').end({ 'showtell.verdict': 'accepted' });
    push.end();
    unit.end({ 'showtell.outcome': 'accepted' });
  }
  const turn = traces.turn(step, 1, 'joint');
  for (const name of ['clip', 'update', 'publish']) turn.child(name).end();
  turn.end();
  traces.finish({ step, lineage: 1, evaluation: false });
}

/** Milliseconds for each of many steps, in batches with a turn of the event loop between them, as steps have. */
async function perStep(work: (step: number) => void): Promise<number> {
  const times: number[] = [];
  const each = 50;
  for (let batch = 0; batch < 200; batch++) {
    const began = performance.now();
    for (let i = 0; i < each; i++) work(batch * each + i);
    times.push((performance.now() - began) / each);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return median(times.slice(50));
}

async function scrape({ registry }: Pick<CoordinatorMetrics, 'registry'>): Promise<number> {
  await using http = await serveHttp({ port: 0, registry, ready: () => true, what: 'the bench', setting: '--port' });
  const times: number[] = [];
  for (let i = 0; i < 220; i++) {
    const began = performance.now();
    await (await fetch(`${http.url}/metrics`)).text();
    times.push(performance.now() - began);
  }
  return median(times.slice(20));
}

/** One scrape of each role, and what metrics and traces, alone and together, add to a step of four units. */
export async function* benchObservability(): AsyncGenerator<BenchFigure> {
  using log = openLog({ fields: {}, level: 'silent' });
  const coordinator = openCoordinatorMetrics();
  const worker = openWorkerMetrics();
  const metrics = (step: number): void => {
    observe(stepEvent(step), coordinator, log, 10_000);
    for (let unit = 0; unit < units; unit++)
      for (const direction of ['received', 'sent'])
        coordinator.series.exchangeBytes.inc({ direction, way: 'shared-memory' }, 1e8);
    noteUnits(worker, step);
  };
  const ofMetrics = await perStep(metrics);
  yield figure('metrics of one step of 4 units, coordinator and workers', ofMetrics, 0.1);

  const off = new StepTraces(noTracing);
  const ofOff = await perStep((step) => traceStep(off, noTracing, step));
  yield figure('traces of one step of 4 units, off', ofOff, 0.1);
  yield figure('metrics and traces of one step, off', ofMetrics + ofOff, 0.1);
  await using receiver = await OtlpReceiver.start();
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint };
  for (const [what, ratio] of [
    ['1 in 100 kept', '0.01'],
    ['all kept', '1'],
  ] as const) {
    const env = { ...endpoint, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: ratio };
    Object.assign(process.env, env);
    await using tracing = await openTracing({ service: 'bench', log });
    const traces = new StepTraces(tracing, { run: 'bench', generation: 1 });
    const ours = await perStep((step) => traceStep(traces, tracing, step));
    yield figure(`traces of one step of 4 units (25 spans), ${what}`, ours, 0.1);
    yield figure(`metrics and traces of one step, ${what}`, ofMetrics + ours, 0.1);
  }

  for (const lane of ['now', 'ahead'])
    for (const state of ['pending', 'unacknowledged']) coordinator.series.queueUnits.set({ lane, state }, 3);
  for (const n of ['1', '2', '3', '4']) coordinator.series.bleu.set({ n }, 0.3);
  for (const phase of ['decoder-only', 'joint'])
    for (const kind of ['train', 'evaluate']) worker.series.compute.observe({ kind, phase }, 0.2);
  for (const direction of ['pull', 'push'])
    for (const way of ['shared-memory', 'grpc']) worker.series.exchange.observe({ direction, way }, 0.01);
  const shard = openShardMetrics();
  shard.series.parameters.set(1e8);
  for (const outcome of ['left', 'added']) shard.series.gradients.inc({ outcome }, 1000);
  const serve = openServeMetrics();
  serve.series.duration.observe(0.3);
  serve.series.compute.observe(0.2);
  serve.series.batch.observe(4);
  const operator = openOperatorMetrics();
  for (const phase of ['Pending', 'Running', 'Succeeded']) operator.series.jobs.set({ phase }, 3);
  operator.series.reconcileDuration.observe(0.1);
  for (const kind of ['StatefulSet', 'Job', 'Service']) operator.series.objectsApplied.inc({ kind, result: 'ok' });
  for (const [role, registry] of Object.entries({
    'the coordinator': coordinator,
    'a worker': worker,
    'a shard': shard,
    '"showtell serve"': serve,
    'the operator': operator,
  }))
    yield figure(`a scrape of ${role}, over HTTP`, await scrape(registry), 10);
}
