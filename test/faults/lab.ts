import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silent } from '@showtell/coordinator/data/progress.js';
import { synthesize } from '@showtell/coordinator/data/synth.js';
import { ensureNatsServer } from '@showtell/coordinator/local/nats-binary.js';
import type { Dataset } from '@showtell/shared/data/dataset.js';
import { openDataset } from '@showtell/shared/data/dataset.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { silent as quiet } from '@showtell/shared/set-up/progress.js';
import type { Ability } from './fault-kinds.js';
import { jobOn, labJob } from './lab-job.js';
import { buildPreload } from './preload.js';
import type { Schedule } from './schedule.js';
import { buildToxiproxy, Toxiproxy } from './toxiproxy.js';

/** What all seeds share: programs, data, the job. */
export class Lab implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    readonly data: string,
    readonly dataset: Dataset,
    readonly job: Job,
    readonly natsServer: string,
    readonly toxiproxy: Toxiproxy | null,
    /** The library that goes before the processes' own; null: their clocks and disks cannot be changed so. */
    readonly preload: string | null,
    readonly mounts: boolean,
    readonly lacking: ReadonlyMap<Ability, string>,
  ) {}

  static async open(engine: 'tensorflow' | 'wasm'): Promise<Lab> {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-faults-'));
    const data = join(folder, 'data');
    const pictures = { train: 6, val: 2, test: 1 };
    const scene = { size: 40, objects: 1, maxCount: 1, backgrounds: 1, captions: 5 };
    const shards = { train: null, val: null, test: null };
    await synthesize({ directory: data, seed: 3, pictures, ...scene, shards, threads: 1, progress: silent });
    const program = buildToxiproxy();
    const preload = buildPreload();
    const lacking = new Map<Ability, string>();
    if (program === null) lacking.set('toxiproxy', 'there is no Go to build it with');
    if (preload === null) lacking.set('preload', 'there is no C compiler');
    if (spawnSync('prlimit', ['--version']).status !== 0) lacking.set('prlimit', 'it is not installed');
    return new Lab(
      folder,
      data,
      await openDataset(data),
      parseJob(labJob, [`engine.name=${engine}`, `data.directory=${JSON.stringify(data)}`]),
      await ensureNatsServer(quiet),
      program === null ? null : await Toxiproxy.start(program),
      preload,
      canMount(folder),
      lacking,
    );
  }

  /** A new folder for one run. */
  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.toxiproxy?.[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Whether this process may mount, as root outside of most containers. */
function canMount(folder: string): boolean {
  const place = join(folder, 'mount');
  mkdirSync(place);
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place]).status === 0;
  if (mounted) spawnSync('umount', [place]);
  rmSync(place, { recursive: true });
  return mounted;
}

/** The job of one run. */
export function scheduledJob(job: Job, schedule: Schedule): Job {
  const cluster = { ...job.cluster, sharedMemory: schedule.sharedMemory };
  return { ...jobOn(schedule.cluster, job, schedule), cluster };
}
