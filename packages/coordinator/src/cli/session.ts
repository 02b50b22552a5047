import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { openDataset, type Dataset } from '@showtell/shared/data/dataset.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { openLog, type Logger } from '@showtell/shared/service/log.js';
import { announceChild, forgetEndedProcesses } from '@showtell/shared/service/process-file.js';
import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { hashOfWeights } from '@showtell/shared/tensors/weights-files.js';
import { version } from '@showtell/shared/version.js';
import type { Control } from '../control.js';
import { coordinate } from '../coordinator.js';
import { NatsProcess } from '../local/nats-process.js';
import { WorkerProcesses } from '../local/worker-processes.js';
import { RunFolder, type RunIdentity } from '../run-folder.js';
import type { RunEvent } from '../run.js';
import { ensureSetUp, setUpNameOf } from './set-up.js';

/** What a person asked for, options resolved. */
export interface SessionOptions {
  readonly run: string;
  readonly job: Job;
  readonly resume: boolean;
  /** A checkpoint's folder to fork from. */
  readonly from: string | null;
  /** Local worker processes; 0: workers come by themselves. */
  readonly workers: number;
  /** A NATS server that is there already; null: one of this run's own. */
  readonly natsUrl: string | null;
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
}

/**
 * Trains a run from this process: set-up, the run's folder, nats-server and workers as children where none are given,
 * and the coordinator itself.
 *
 * @throws ShowtellError whatever keeps it from starting, before anything is written to the run's folder.
 */
export async function* trainSession(options: SessionOptions, control: Control): AsyncGenerator<RunEvent> {
  const { job } = options;
  const isLocal = options.workers > 0;
  const needsNats = options.natsUrl === null;
  const setUp = isLocal || needsNats ? await ensureSetUp(lineProgress(), setUpNameOf(job.engine)) : null;
  const dataset = await openDataset(job.data.directory ?? '');
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
  await using nats = needsNats && setUp !== null ? await startNats(folder, setUp.nats, log) : null;
  const natsUrl = options.natsUrl ?? nats?.url ?? '';
  const events = coordinate(
    { ...options, folder, generation, dataset, natsUrl, sharedMemory: sharedMemoryFolder(job), log },
    control,
  );
  // The first event comes after workers have worked: they start while the coordinator opens.
  await using workers = isLocal ? startWorkers(folder, options, control, log) : null;
  control.onInterruption(() => workers?.retire());
  for await (const event of events) {
    if (event.type === 'finished' || event.type === 'stopped') workers?.retire();
    yield event;
  }
}

/** @throws ShowtellError `data/split-empty`, `job/vocabulary-too-small` */
function checkData(job: Job, dataset: Dataset): void {
  for (const split of ['train', 'val'] as const)
    if (dataset.split(split).count === 0)
      throw new ShowtellError('data/split-empty', { directory: dataset.directory, split });
  const { size } = dataset.vocabulary;
  const { vocabulary } = job.model.decoder;
  if (vocabulary < size)
    throw new ShowtellError('job/vocabulary-too-small', {
      directory: dataset.directory,
      words: size,
      rows: vocabulary,
    });
}

function openFolder(folder: RunFolder, { job, resume, from }: SessionOptions, dataset: Dataset): void {
  const { weights } = job.model.encoder;
  const encoderWeightsSha256 = weights === 'random' ? null : hashOfWeights(weights);
  const fixed = { jobSha256: jobDigest(job, encoderWeightsSha256), datasetDigest: dataset.digest };
  if (folder.exists && resume) {
    folder.resumeWith(job, fixed);
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
  folder.begin(identity, job);
}

function sharedMemoryFolder(job: Job): string | null {
  return job.cluster.sharedMemory && existsSync('/dev/shm') ? '/dev/shm' : null;
}

async function startNats(folder: RunFolder, binary: string, log: Logger): Promise<NatsProcess> {
  return NatsProcess.start({
    binary,
    storeDirectory: folder.at('nats'),
    logFile: folder.at('logs', 'nats.log'),
    onStart: (pid, restarts) => {
      announceChild(folder.path, 'nats', pid, { role: 'nats' });
      if (restarts > 0) log.warn('nats-server had ended and was started again', { pid, restarts });
    },
  });
}

function startWorkers(folder: RunFolder, options: SessionOptions, control: Control, log: Logger): WorkerProcesses {
  return new WorkerProcesses({
    runDirectory: resolve(folder.path),
    count: options.workers,
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
