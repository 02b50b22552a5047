import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parametersOf } from '@showtell/shared/model/parameters.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { processTls } from '@showtell/shared/security/tls-folder.js';
import { tellExpiry } from '@showtell/shared/service/certificate-expiry.js';
import { openLog } from '@showtell/shared/service/log.js';
import { announceProcess } from '@showtell/shared/service/process-file.js';
import { memorySize } from '@showtell/shared/service/memory-size.js';
import { toldToLeave } from '@showtell/shared/service/worker-exit.js';
import { openTracing } from '@showtell/shared/service/open-tracing.js';
import { layOut } from '@showtell/shared/tensors/layout.js';
import { version } from '@showtell/shared/version.js';
import { chooseEngine, prepareEngine } from './engine/choose-engine.js';
import type { EngineFingerprint } from './engine/engine.js';
import { EngineThread } from './engine/engine-thread.js';
import { joinWhenThere } from './find-coordinator.js';
import { inputRulesOf } from './input/input-rules.js';
import { Prefetcher } from './input/prefetch.js';
import { watchLife } from './life.js';
import { usualBound, watchMemory } from './memory-bound.js';
import { Membership } from './membership.js';
import { openWorkerMetrics } from './metrics.js';
import type { WorkerOptions } from './options.js';
import { readDataFacts, readRunJob } from './run-facts.js';
import { watchGpu } from './watch-gpu.js';
import { Worker, type WorkerState } from './worker.js';

/**
 * A worker process from its start to its end: job → data → engine → input → coordinator → work.
 *
 * @returns the process's exit code
 * @throws ShowtellError what keeps it from working; `worker/refused`, `worker/other-run`, `worker/canary-refused`, `worker/no-coordinator`
 */
export async function runWorker(options: WorkerOptions & { readonly id: string }): Promise<number> {
  const asked = await readRunJob(options.run);
  const { job, location } = asked;
  const folder = 'folder' in options.run ? options.run.folder : null;
  using log = openLog({
    fields: { role: 'worker', worker: options.id },
    ...(folder === null ? {} : { file: join(folder, 'logs', `${fileName(options.id)}.log`) }),
  });
  await using tracing = await openTracing({ service: 'showtell-worker', instance: options.id, log });
  let worker: Worker | null = null;
  /** Names the run too, once it has joined one. */
  let named = log;
  const metrics = openWorkerMetrics();
  using _expiry = tellExpiry(metrics.series.certificateExpiry, processTls());
  const state = (): WorkerState => worker?.state ?? 'starting';
  await using http = await serveHttp({
    ...options.metrics,
    registry: metrics.registry,
    ready: () => (['waiting', 'computing'].includes(state()) ? true : state()),
    what: "the worker's metrics",
    setting: '--metrics-port',
    hostSetting: '--metrics-host',
  });
  const announcement = { role: 'worker', id: options.id, http: http.url } as const;
  using announced = folder === null ? null : announceProcess(folder, fileName(options.id), announcement);
  using life = watchLife(options.parent, {
    drain: (reason) => {
      named.info('draining', { reason });
      worker?.drain();
    },
    force: () => announced?.[Symbol.dispose](),
  });

  const leaving = options.untilComplete ? toldToLeave : 0;
  const facts = await readDataFacts(asked, options.waitSeconds, () => life.ending);
  if (facts === null) return leaving;
  const { vocabulary } = facts;
  const choice = chooseEngine(job);
  prepareEngine(choice);
  log.info('starting', { version, engine: choice.name, reason: choice.reason, pid: process.pid });

  const engine = await EngineThread.open(choice.name, choice.options);
  // The addon does not outlive a process.exit under it: its thread ends first, whatever happens.
  await using _engine = { [Symbol.asyncDispose]: () => engine.close() };
  const rules = inputRulesOf(job, vocabulary.unkId);
  await using input = await Prefetcher.open({ location, data: job.data, engine: job.engine, rules }, (error) => {
    metrics.series.corruptRecords.inc({ kind: 'bytes' });
    log.warn('while reading', { error });
  });
  const description = describe(engine.fingerprint);
  metrics.series.info.set({ worker: options.id, engine: choice.name, device: engine.fingerprint.device, version }, 1);
  log.info('ready', { engine: description });
  using _gpu =
    engine.fingerprint.device === 'cuda' ? watchGpu(process.env['CUDA_VISIBLE_DEVICES'] ?? '0', metrics.series) : null;

  const layout = layOut(parametersOf(job.model));
  const parts = { id: options.id, job, layout, vocabulary, rules, engine, input, metrics, log, tracing };
  const hello = {
    worker: options.id,
    pid: process.pid,
    host: hostname(),
    version,
    jobSha256: asked.jobSha256,
    datasetDigest: facts.datasetDigest,
    engine: description,
    instance: randomUUID(),
    run: asked.run ?? '',
  };
  const memory = { outgrown: false };
  const bound = options.maxMemory ?? usualBound();
  // One that has computed nothing yet could be replaced by nothing better.
  using _memory = watchMemory(bound, (resident) => {
    if (worker === null || worker.done === 0) return false;
    memory.outgrown = true;
    const sizes = { resident: memorySize(resident), bound: memorySize(bound ?? 0), units: worker.done };
    named.warn('memory has grown past its bound: this worker finishes its unit and leaves, to be replaced', sizes);
    worker.drain();
    return true;
  });
  for (;;) {
    worker = new Worker(parts);
    const { events } = worker;
    const onBusState = (change: string): void => {
      named.info('bus', { change });
      if (change === 'reconnected') metrics.series.reconnects.inc({ to: 'nats' });
      if (change === 'lost') worker?.lose();
    };
    const join = (address: string) => Membership.join({ address, hello, job, layout, onBusState }, events);
    const member = await joinWhenThere(options, join, () => life.ending);
    if (member === null) return leaving;
    if (member === 'complete') {
      log.info('the run is complete');
      return 0;
    }
    named = log.child({ run: member.session.welcome.run });
    if (life.ending || memory.outgrown) worker.drain();
    const departure = await worker.work(member).finally(() => member[Symbol.asyncDispose]());
    named.info('left', { departure });
    if (departure === 'complete') return 0;
    if (memory.outgrown) return toldToLeave;
    if (departure === 'drained' || (departure === 'stopped' && !options.untilComplete)) return leaving;
    if (departure === 'stopped') continue;
    metrics.series.reconnects.inc({ to: 'parameter-server' });
  }
}

/** `worker-NAME`, however the worker is called. */
function fileName(id: string): string {
  const safe = id.replace(/[^A-Za-z0-9._-]/g, '_');
  return safe.startsWith('worker') ? safe : `worker-${safe}`;
}

function describe({ engine, version: library, device, instructions, threads, precision }: EngineFingerprint): string {
  return `${engine} ${library} ${device} ${instructions.join(' ')}, threads ${threads}, ${precision}`;
}
