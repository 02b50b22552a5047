import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JobInput } from '@showtell/shared/job/job.js';

const showtell = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));
/** The process itself: "showtell worker" starts it as a child, which a kill would not reach. */
const showtellWorker = fileURLToPath(new URL('../../packages/worker/bin/showtell-worker.js', import.meta.url));

/** A line that the coordinator prints. */
export interface ToldLine {
  readonly type: string;
  readonly step: number;
  /** By `Date.now()`, when it was told. */
  readonly at: number;
  /** Of a step, and of a checkpoint's writing. */
  readonly seconds: number;
  /** Validation loss a word, of an evaluation. */
  readonly lossPerWord: number;
}

/** Draws a data set of square scenes. */
export async function drawScenes(directory: string, train: number, size: number): Promise<void> {
  const wanted = ['--out', directory, '--seed', '1', '--train', String(train), '--size', String(size)];
  await once(spawn(process.execPath, [showtell, 'data', 'synth', ...wanted]), 'exit');
}

/** A coordinator and workers started by hand, as on a cluster: none restarts another. */
export class HandStartedCluster implements AsyncDisposable {
  readonly lines: ToldLine[] = [];
  private readonly children = new Set<ChildProcess>();
  private coordinator: ChildProcess | null = null;

  /** @param folder where the run is, beside its `data` */
  constructor(
    private readonly folder: string,
    private readonly nats: string,
    job: JobInput,
  ) {
    writeFileSync(join(folder, 'job.yaml'), JSON.stringify(job));
  }

  get steps(): ToldLine[] {
    return this.lines.filter(({ type }) => type === 'step');
  }

  begin(): void {
    const at = (name: string): string => join(this.folder, name);
    const where = ['--run', at('run'), '--data', at('data'), '--nats', this.nats];
    const ports = ['--grpc-port', '0', '--http-port', '0'];
    const child = this.start([showtell, 'coordinator', at('job.yaml'), ...where, ...ports], 'pipe');
    let torn = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (torn + text).split('\n');
      torn = lines.pop() ?? '';
      for (const line of lines) this.lines.push({ ...(JSON.parse(line) as Omit<ToldLine, 'at'>), at: Date.now() });
    });
    this.coordinator = child;
  }

  worker(id: string): ChildProcess {
    const args = ['--run', join(this.folder, 'run'), '--id', id, '--wait', '10m'];
    return this.start([showtellWorker, ...args], 'ignore');
  }

  killCoordinator(): void {
    this.coordinator?.kill('SIGKILL');
  }

  /** Resolves once its folder tells workers where it is. */
  async isThere(): Promise<void> {
    while (!existsSync(join(this.folder, 'run', 'processes', 'coordinator.json'))) await delay(50);
  }

  /** Resolves once so many further steps have been taken. */
  async further(count: number): Promise<void> {
    for (const wanted = this.steps.length + count; this.steps.length < wanted;) await delay(20);
  }

  /** Resolves once a worker takes part. */
  async joined(id: string): Promise<void> {
    const counts = (): boolean => {
      const file = join(this.folder, 'run', 'steps.jsonl');
      return existsSync(file) && readFileSync(file, 'utf8').split('\n').slice(-4).join('').includes(`"${id}"`);
    };
    while (!counts()) await delay(50);
  }

  private start(args: readonly string[], stdout: 'pipe' | 'ignore'): ChildProcess {
    const child = spawn(process.execPath, [...args], { stdio: ['ignore', stdout, 'ignore'] });
    this.children.add(child);
    child.once('exit', () => this.children.delete(child));
    return child;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL');
    while (this.children.size > 0) await delay(20);
  }
}
