import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShowtellError } from '@showtell/shared/errors.js';
import { hasEnded, startChild, stopChild } from './child.js';

/** A worker that ends this soon after its start was not able to work; so many in a row end the run. */
const quickMs = 20_000;
const quickDeaths = 4;
const graceMs = 4_000;
/** sysexits' "configuration", "data", "usage": starting it again would end the same way. */
const hopeless = [64, 65, 78];

export interface WorkerProcessesOptions {
  readonly runDirectory: string;
  readonly count: number;
  readonly onRestart: (id: string, ended: string) => void;
  readonly onHopeless: (error: ShowtellError) => void;
}

/** The laptop's workers: child processes, each started again when it dies before the run's end. */
export class WorkerProcesses implements AsyncDisposable {
  private readonly children = new Map<string, ChildProcess>();
  private stopping = false;
  private quick = 0;

  constructor(private readonly options: WorkerProcessesOptions) {
    for (let i = 0; i < options.count; i++) this.start(i);
  }

  /** The run is over: workers that end are not started again. */
  retire(): void {
    this.stopping = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping = true;
    await Promise.all([...this.children.values()].map((child) => stopChild(child, graceMs)));
  }

  /** Ends them without grace. */
  kill(): void {
    this.stopping = true;
    for (const child of this.children.values()) if (!hasEnded(child)) child.kill('SIGKILL');
  }

  private start(i: number): void {
    const { runDirectory } = this.options;
    const id = `worker-${i + 1}`;
    const logFile = join(runDirectory, 'logs', `${id}.out`);
    const main = fileURLToPath(import.meta.resolve('@showtell/worker/main.js'));
    const args = [main, '--run', runDirectory, '--id', id, '--parent'];
    const child = startChild(process.execPath, args, { logFile });
    const startedAt = Date.now();
    this.children.set(id, child);
    child.once('error', () => this.ended(i, id, 'could not be started', startedAt));
    child.once('exit', (code, signal) => {
      child.stdin?.destroy();
      if (this.stopping) return;
      if (code !== null && hopeless.includes(code)) {
        this.options.onHopeless(new ShowtellError('worker/hopeless', { worker: id, code, log: logFile }));
        return;
      }
      this.ended(i, id, signal === null ? `exit code ${code ?? 0}` : signal, startedAt);
    });
  }

  private ended(i: number, id: string, how: string, startedAt: number): void {
    this.quick = Date.now() - startedAt < quickMs && how !== 'SIGKILL' ? this.quick + 1 : 0;
    if (this.quick >= quickDeaths) {
      const log = join(this.options.runDirectory, 'logs', `${id}.out`);
      this.options.onHopeless(new ShowtellError('worker/dies-at-start', { worker: id, how, log }));
      return;
    }
    this.options.onRestart(id, how);
    this.start(i);
  }
}
