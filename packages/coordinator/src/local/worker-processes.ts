import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorTable, ShowtellError } from '@showtell/shared/errors.js';
import { toldToLeave } from '@showtell/shared/service/worker-exit.js';
import { hasEnded, startChild, stopChild } from './child.js';
import { oomKills } from './oom-kills.js';

/** A worker that ends this soon after its start was not able to work; so many in a row end the run. */
const quickMs = 20_000;
const quickDeaths = 4;
const graceMs = 4_000;
/** sysexits' "usage", "data", "no permission", "configuration": starting it again would end the same way. */
const hopeless = [64, 65, 77, 78];
/** So many workers killed for want of memory within this time end the run: the units are too large for the machine. */
const killsForMemory = 2;
const killsWithinMs = 600_000;

export interface WorkerProcessesOptions {
  readonly runDirectory: string;
  readonly count: number;
  /** After how many resident bytes each is replaced; null: by its cgroup's limit. */
  readonly maxMemory: number | null;
  /** Folder with the role's certificates; null: nothing is secured. */
  readonly secured?: string | null;
  readonly onRestart: (id: string, ended: string) => void;
  readonly onHopeless: (error: ShowtellError) => void;
  /** How many processes the kernel has killed for want of memory. */
  readonly oomKills?: () => number;
}

/** The laptop's workers: child processes, each started again when it dies before the run's end. */
export class WorkerProcesses implements AsyncDisposable {
  private readonly children = new Map<string, ChildProcess>();
  private stopping = false;
  private quick = 0;
  private readonly oomKills: () => number;
  private oomKillsSeen: number;
  private killedForMemory: number[] = [];

  constructor(private readonly options: WorkerProcessesOptions) {
    this.oomKills = options.oomKills ?? (() => oomKills());
    this.oomKillsSeen = this.oomKills();
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
    const { runDirectory, maxMemory, secured = null } = this.options;
    const id = `worker-${i + 1}`;
    const logFile = join(runDirectory, 'logs', `${id}.out`);
    const main = fileURLToPath(import.meta.resolve('@showtell/worker/main.js'));
    const bound = maxMemory === null ? [] : ['--max-memory', String(maxMemory)];
    const tls = secured === null ? [] : ['--tls', secured];
    const args = [main, '--run', runDirectory, '--id', id, '--parent', ...bound, ...tls];
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
      if (this.wasKilledForMemory(code, signal)) {
        this.endedForMemory(i, id);
        return;
      }
      // It computed a unit at least, so those that come after it get on, too.
      if (code === toldToLeave) this.again(i, id, 'its memory had grown past its bound');
      else this.ended(i, id, signal === null ? `exit code ${code ?? 0}` : signal, startedAt);
    });
  }

  private wasKilledForMemory(code: number | null, signal: NodeJS.Signals | null): boolean {
    const before = this.oomKillsSeen;
    this.oomKillsSeen = this.oomKills();
    const outOfMemory = code === errorTable['engine/out-of-memory'].exit;
    return outOfMemory || ((signal === 'SIGKILL' || code === 137) && this.oomKillsSeen > before);
  }

  private endedForMemory(i: number, id: string): void {
    const now = Date.now();
    this.killedForMemory = [...this.killedForMemory, now].filter((at) => now - at < killsWithinMs);
    if (this.killedForMemory.length < killsForMemory) this.again(i, id, 'memory ran out');
    else
      this.options.onHopeless(
        new ShowtellError('worker/out-of-memory', { worker: id, times: killsForMemory, workers: this.options.count }),
      );
  }

  private ended(i: number, id: string, how: string, startedAt: number): void {
    this.quick = Date.now() - startedAt < quickMs && how !== 'SIGKILL' ? this.quick + 1 : 0;
    if (this.quick >= quickDeaths) {
      const log = join(this.options.runDirectory, 'logs', `${id}.out`);
      this.options.onHopeless(new ShowtellError('worker/dies-at-start', { worker: id, how, log }));
      return;
    }
    this.again(i, id, how);
  }

  private again(i: number, id: string, how: string): void {
    this.options.onRestart(id, how);
    this.start(i);
  }
}
