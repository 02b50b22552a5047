import { hostname } from 'node:os';
import { join } from 'node:path';
import { parametersOf } from '@showtell/shared/model/parameters.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { openLog } from '@showtell/shared/service/log.js';
import { announceProcess } from '@showtell/shared/service/process-file.js';
import { layOut } from '@showtell/shared/tensors/layout.js';
import { version } from '@showtell/shared/version.js';
import { chooseEngine, prepareEngine } from './engine/choose-engine.js';
import type { EngineFingerprint } from './engine/engine.js';
import { EngineThread } from './engine/engine-thread.js';
import { joinWhenThere } from './find-coordinator.js';
import { inputRulesOf } from './input/input-rules.js';
import { Prefetcher } from './input/prefetch.js';
import { watchLife } from './life.js';
import { Membership } from './membership.js';
import { openWorkerMetrics } from './metrics.js';
import type { WorkerOptions } from './options.js';
import { readRunFacts } from './run-facts.js';
import { Worker, type WorkerState } from './worker.js';

/** sysexits' "try again": units are left, and another worker may compute them. */
const toldToLeave = 75;

/**
 * A worker process from its start to its end: job → engine → input → coordinator → work.
 *
 * @returns the process's exit code
 * @throws ShowtellError what keeps it from working; `worker/refused`, `worker/canary-refused`, `worker/no-coordinator`
 */
export async function runWorker(options: WorkerOptions): Promise<number> {
  const facts = await readRunFacts(options.run);
  const folder = 'folder' in options.run ? options.run.folder : null;
  using log = openLog({
    fields: { role: 'worker', worker: options.id },
    ...(folder === null ? {} : { file: join(folder, 'logs', `${fileName(options.id)}.log`) }),
  });
  const { job, vocabulary } = facts;
  const choice = chooseEngine(job);
  prepareEngine(choice);
  log.info('starting', { version, engine: choice.name, reason: choice.reason, pid: process.pid });

  let worker: Worker | null = null;
  const metrics = openWorkerMetrics();
  const state = (): WorkerState => worker?.state ?? 'starting';
  await using http = await serveHttp({
    ...options.metrics,
    registry: metrics.registry,
    ready: () => (['waiting', 'computing'].includes(state()) ? true : state()),
    what: "the worker's metrics",
    setting: '--metrics-port',
  });
  const announcement = { role: 'worker', id: options.id, http: http.url } as const;
  using announced = folder === null ? null : announceProcess(folder, fileName(options.id), announcement);
  using life = watchLife(options.parent, {
    drain: (reason) => {
      log.info('draining', { reason });
      worker?.drain();
    },
    force: () => announced?.[Symbol.dispose](),
  });

  const engine = await EngineThread.open(choice.name, choice.options);
  // The addon does not outlive a process.exit under it: its thread ends first, whatever happens.
  await using _engine = { [Symbol.asyncDispose]: () => engine.close() };
  const rules = inputRulesOf(job, vocabulary.unkId);
  await using input = await Prefetcher.open({ directory: facts.directory, engine: job.engine, rules }, (error) => {
    metrics.series.corruptRecords.inc({ kind: 'bytes' });
    log.warn('while reading', { error });
  });
  const description = describe(engine.fingerprint);
  metrics.series.info.set({ worker: options.id, engine: choice.name, device: engine.fingerprint.device, version }, 1);
  log.info('ready', { engine: description });

  const layout = layOut(parametersOf(job.model));
  const parts = { id: options.id, job, layout, vocabulary, rules, engine, input, metrics, log };
  const hello = {
    worker: options.id,
    pid: process.pid,
    host: hostname(),
    version,
    jobSha256: facts.jobSha256,
    datasetDigest: facts.datasetDigest,
    engine: description,
  };
  const leaving = options.untilComplete ? toldToLeave : 0;
  for (;;) {
    worker = new Worker(parts);
    const { events } = worker;
    const onBusState = (change: string): void => {
      log.info('bus', { change });
      if (change === 'reconnected') metrics.series.reconnects.inc({ to: 'nats' });
    };
    const join = (address: string) => Membership.join({ address, hello, job, layout, onBusState }, events);
    const member = await joinWhenThere(options, join, () => life.ending);
    if (member === null) return leaving;
    if (life.ending) worker.drain();
    const departure = await worker.work(member).finally(() => member[Symbol.asyncDispose]());
    log.info('left', { departure });
    if (departure === 'complete') return 0;
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
