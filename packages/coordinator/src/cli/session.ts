import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { openData } from '@showtell/shared/bus/open-data.js';
import type { Dataset } from '@showtell/shared/data/dataset.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { openLog, type Logger } from '@showtell/shared/service/log.js';
import { folderBeside } from '@showtell/shared/security/tls-folder.js';
import { announceChild, forgetEndedProcesses } from '@showtell/shared/service/process-file.js';
import { openTracing } from '@showtell/shared/service/open-tracing.js';
import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { hashOfWeights } from '@showtell/shared/tensors/weights-files.js';
import { version } from '@showtell/shared/version.js';
import type { Control } from '../control.js';
import type { CoordinatorOptions } from '../coordinator.js';
import { coordinateThroughLosses } from '../coordinate-through-losses.js';
import { NatsProcess } from '../local/nats-process.js';
import { ShardProcesses } from '../local/shard-processes.js';
import { WorkerProcesses } from '../local/worker-processes.js';
import { type CoordinatorMetrics, openCoordinatorMetrics } from '../metrics.js';
import { resumeRun } from '../resume-run.js';
import { RunFolder, type RunIdentity } from '../run-folder.js';
import type { RunEvent } from '../run.js';
import { ensureSetUp, setUpNameOf } from './set-up.js';

/** What a person asked for, options resolved. */
export interface SessionOptions extends Pick<CoordinatorOptions, 'onListening' | 'onWait'> {
  readonly run: string;
  readonly job: Job;
  readonly resume: boolean;
  /** A checkpoint's folder to fork from. */
  readonly from: string | null;
  /** Local worker processes; 0: workers come by themselves. */
  readonly workers: number;
  /** Resident bytes of a local worker after which it is replaced; null: by its cgroup's limit. */
  readonly maxMemory?: number | null;
  /** A NATS server that is there already; null: one of this run's own. */
  readonly natsUrl: string | null;
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Shards of the parameter server that are there already; null: as many of this run's own as the job says. */
  readonly shards: readonly string[] | null;
  /** Where the run is told to Prometheus; by default in series of its own. */
  readonly metrics?: CoordinatorMetrics;
  /** Of the page: see `CoordinatorOptions`. */
  readonly pageToken: string | null;
}

/**
 * Trains a run from this process: set-up, the run's folder, nats-server and workers as children where none are given,
 * and the coordinator itself.
 *
 * @throws ShowtellError whatever keeps it from starting, before anything is written to the run's folder.
 */
export async function* trainSession(options: SessionOptions, control: Control): AsyncGenerator<RunEvent> {
  const { job } = options;
  checkShards(options);
  const isLocal = options.workers > 0;
  const needsNats = options.natsUrl === null;
  const setUp = isLocal || needsNats ? await ensureSetUp(lineProgress(), setUpNameOf(job.engine)) : null;
  const dataset = await openData(job.data.directory ?? '', job.data);
  checkData(job, dataset);

  const folder = new RunFolder(options.run);
  openFolder(folder, options, dataset);
  const generation = folder.claimGeneration();
  // Now what an earlier coordinator left that was killed; at the end what our own children leave that are.
  forgetEndedProcesses(folder.path);
  using _processes = { [Symbol.dispose]: () => forgetEndedProcesses(folder.path) };
  using log = openLog({
    fields: { run: folder.identity().run, role: 'coordinator' },
    file: folder.at('logs', 'coordinator.log'),
  });
  await using tracing = await openTracing({ service: 'showtell-coordinator', instance: folder.identity().run, log });
  await using nats = needsNats && setUp !== null ? await startNats(folder, setUp.nats, log) : null;
  const natsUrl = options.natsUrl ?? nats?.url ?? '';
  await using processes = await startShards(folder, options, log);
  const shards = options.shards ?? processes?.addresses ?? null;
  const { metrics = openCoordinatorMetrics() } = options;
  const parts = { ...options, folder, dataset, natsUrl, shards, metrics, log, tracing };
  const sharedMemory = sharedMemoryFolder(job);
  const events = coordinateThroughLosses({ ...parts, generation, sharedMemory }, control);
  // The first event comes after workers have worked: they start while the coordinator opens.
  await using workers = isLocal ? startWorkers(folder, options, control, log) : null;
  control.onInterruption(() => workers?.retire());
  for await (const event of events) {
    if (event.type === 'finished' || event.type === 'stopped') workers?.retire();
    yield event;
  }
}

/** A job that says nothing of shards takes any number of them. @throws ShowtellError `job/other-shards` */
function checkShards({ job, shards }: SessionOptions): void {
  const { parameterShards } = job.cluster;
  if (shards !== null && parameterShards !== 1 && shards.length !== parameterShards)
    throw new ShowtellError('job/other-shards', { named: shards.length, shards: parameterShards });
}

/** @throws ShowtellError `data/split-empty`, `job/vocabulary-too-small` */
function checkData(job: Job, dataset: Dataset): void {
  for (const split of ['train', 'val'] as const)
    if (dataset.split(split).count === 0)
      throw new ShowtellError('data/split-empty', { directory: dataset.location, split });
  const { size } = dataset.vocabulary;
  const { vocabulary } = job.model.decoder;
  if (vocabulary < size)
    throw new ShowtellError('job/vocabulary-too-small', {
      directory: dataset.location,
      words: size,
      rows: vocabulary,
    });
}

function openFolder(folder: RunFolder, { job, resume, from }: SessionOptions, dataset: Dataset): void {
  const { weights } = job.model.encoder;
  const encoderWeightsSha256 = weights === 'random' ? null : hashOfWeights(weights);
  const fixed = { jobSha256: jobDigest(job, encoderWeightsSha256), datasetDigest: dataset.digest };
  if (folder.exists && resume) {
    resumeRun(folder, job, fixed);
    return;
  }
  const identity: RunIdentity = {
    run: `${job.name}-${randomBytes(4).toString('hex')}`,
    created: new Date().toISOString(),
    version,
    ...fixed,
    vocabularySha256: dataset.vocabulary.sha256,
    encoderWeightsSha256,
    forkedFrom: from === null ? null : resolve(from),
  };
  folder.begin(identity, job, join(dataset.directory, dataset.manifest.vocabulary.file));
}

function sharedMemoryFolder(job: Job): string | null {
  return job.cluster.sharedMemory && existsSync('/dev/shm') ? '/dev/shm' : null;
}

async function startNats(folder: RunFolder, binary: string, log: Logger): Promise<NatsProcess> {
  return NatsProcess.start({
    binary,
    storeDirectory: folder.at('nats'),
    logFile: folder.at('logs', 'nats.log'),
    secured: folderBeside('nats'),
    onStart: (pid, restarts) => {
      announceChild(folder.path, 'nats', pid, { role: 'nats' });
      if (restarts > 0) log.warn('nats-server had ended and was started again', { pid, restarts });
    },
  });
}

/** The run's own shards; null where there are others, or none. */
async function startShards(
  folder: RunFolder,
  { shards, job, host }: SessionOptions,
  log: Logger,
): Promise<ShardProcesses | null> {
  const count = job.cluster.parameterShards;
  if (shards !== null || count === 1) return null;
  return ShardProcesses.start({
    count,
    host,
    logFolder: folder.at('logs'),
    secured: folderBeside('ps'),
    onStart: (name, { pid, restarts, http }) => {
      announceChild(folder.path, name, pid, { role: 'parameter-server', http });
      if (restarts > 0) log.warn('a shard had ended and was started again', { shard: name, pid, restarts });
    },
  });
}

function startWorkers(folder: RunFolder, options: SessionOptions, control: Control, log: Logger): WorkerProcesses {
  return new WorkerProcesses({
    runDirectory: resolve(folder.path),
    count: options.workers,
    maxMemory: options.maxMemory ?? null,
    secured: folderBeside('worker'),
    onRestart: (id, ended) => log.warn('a worker ended and is started again', { worker: id, ended }),
    onHopeless: (error) => control.fail(error),
  });
}

/** As many workers of the job's threads as the machine has cores for, at least one; of a GPU, one. */
export function usualWorkers({ engine }: Job): number {
  if (engine.name === 'webgpu') return 1;
  const threads = engine.name === 'wasm' ? 1 : engine.threads;
  return Math.max(1, Math.floor(availableParallelism() / threads));
}
