import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { vocabularyFile } from '@showtell/shared/data/find-vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import { announcedProcess, announceProcess, type ProcessFile } from '@showtell/shared/service/process-file.js';
import { isSameProcess, ownIdentity, type ProcessIdentity } from '@showtell/shared/service/process-identity.js';
import { syncFolder } from './checkpoints/write-checkpoint.js';

/** What a run is, fixed when it begins: `run.json`. */
export interface RunIdentity {
  readonly run: string;
  readonly created: string;
  readonly version: string;
  readonly jobSha256: string;
  readonly datasetDigest: string;
  readonly vocabularySha256: string;
  readonly encoderWeightsSha256: string | null;
  /** The checkpoint of another run that this one began with; null: with first values. */
  readonly forkedFrom: string | null;
}

/** How others reach the coordinator: `processes/coordinator.json`, there as long as it runs. */
export interface CoordinatorProcess extends ProcessFile {
  readonly role: 'coordinator';
  readonly generation: number;
  /** host:port of the gRPC service. */
  readonly grpc: string;
  /** URL of the NATS server. */
  readonly nats: string;
  /** URL of /metrics, /healthz and /readyz. */
  readonly http: string;
}

/** Writes a file beside its name, syncs and renames it: it is there whole or not at all, also after the machine stopped. */
function writeWhole(file: string, content: string | Uint8Array): void {
  const beside = `${file}.${process.pid}.tmp`;
  writeFileSync(beside, content, { flush: true });
  renameSync(beside, file);
  syncFolder(dirname(file));
}

const toJson = (content: unknown): string => `${JSON.stringify(content, null, 2)}\n`;

function readJson(file: string): unknown {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

/** A run's folder: the places in it, and who may write there. */
export class RunFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  at(...names: string[]): string {
    return join(this.path, ...names);
  }

  get exists(): boolean {
    return existsSync(this.at('run.json'));
  }

  /** @throws ShowtellError `run/missing` */
  identity(): RunIdentity {
    const identity = readJson(this.at('run.json')) as RunIdentity | undefined;
    if (identity === undefined) throw new ShowtellError('run/missing', { run: this.path });
    return identity;
  }

  /** The job as last started, defaults and data folder filled in. @throws ShowtellError `run/missing` */
  job(): Job {
    const job = readJson(this.at('job.json')) as Job | undefined;
    if (job === undefined) throw new ShowtellError('run/missing', { run: this.path });
    return job;
  }

  /** Keeps the job that the run is started with from now on. */
  keepJob(job: Job): void {
    writeWhole(this.at('job.json'), toJson(job));
  }

  /**
   * Begins a run. It exists once `run.json` does, which is written last: what comes after it might never come.
   * @param vocabulary the data's, to be copied: captions of the run's checkpoints need the words, and may be asked for where
   *   the data are not
   * @throws ShowtellError `run/exists`
   */
  begin(identity: RunIdentity, job: Job, vocabulary?: string): void {
    if (this.exists) throw new ShowtellError('run/exists', { run: this.path });
    for (const folder of ['checkpoints', 'evaluations', 'generations', 'logs', 'processes'])
      mkdirSync(this.at(folder), { recursive: true });
    this.keepJob(job);
    if (vocabulary !== undefined) writeWhole(this.at(vocabularyFile), readFileSync(vocabulary));
    writeWhole(this.at('run.json'), toJson(identity));
  }

  /** The coordinator at work on this host, if there is one. */
  liveCoordinator(): CoordinatorProcess | undefined {
    const found = announcedProcess(this.path, 'coordinator') as CoordinatorProcess | undefined;
    return found?.host === hostname() ? found : undefined;
  }

  /** Announces this process as the coordinator, until the result is disposed of. */
  announceCoordinator(facts: Omit<CoordinatorProcess, keyof ProcessFile>): Disposable {
    return announceProcess(this.path, 'coordinator', { role: 'coordinator', ...facts });
  }

  /**
   * Claims the next generation, the token by which everything older is refused.
   *
   * @throws ShowtellError `run/already-running` when a coordinator of this host is at work.
   */
  claimGeneration(): Generation {
    const live = this.liveCoordinator() ?? this.startingCoordinator();
    if (live !== undefined && live.pid !== process.pid)
      throw new ShowtellError('run/already-running', { run: this.path, pid: live.pid });
    for (let number = this.newestGeneration() + 1; ; number++) {
      try {
        writeFileSync(this.at('generations', String(number)), `${JSON.stringify(ownIdentity())}\n`, { flag: 'wx' });
        return new Generation(this, number);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
  }

  /** Who claimed the newest generation, if it lives on this host: it may not have announced itself yet. */
  private startingCoordinator(): ProcessIdentity | undefined {
    const newest = this.newestGeneration();
    if (newest === 0) return undefined;
    try {
      const claimant = readJson(this.at('generations', String(newest))) as ProcessIdentity | undefined;
      return claimant?.host === hostname() && isSameProcess(claimant) ? claimant : undefined;
    } catch {
      // It was killed while it wrote.
      return undefined;
    }
  }

  newestGeneration(): number {
    return Math.max(0, ...readdirSync(this.at('generations')).map(Number).filter(Number.isSafeInteger));
  }
}

/** A claimed generation. */
export class Generation {
  constructor(
    private readonly folder: RunFolder,
    readonly number: number,
  ) {}

  /** @throws ShowtellError `run/superseded` when a newer generation has been claimed. Cheap: asked at each step. */
  assertCurrent(): void {
    // Each claim takes the next number.
    if (!existsSync(this.folder.at('generations', String(this.number + 1)))) return;
    const newest = this.folder.newestGeneration();
    throw new ShowtellError('run/superseded', { run: this.folder.path, own: this.number, newest });
  }
}
