import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { hasEnded, stopChild } from '@showtell/coordinator/local/child.js';

/** How one process of a role ended. */
export interface RoleEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote. */
  readonly output: string;
}

export interface RoleCommand {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Where both streams are kept. */
  readonly logFile: string;
  readonly onStart?: () => void;
  readonly onLine?: (line: string) => void;
  readonly mostStarts: number;
  /** Whether an end needs no new start. */
  readonly isDone: (end: RoleEnd) => boolean;
}

const againMs = 200;

/** A process that is started again whenever it ends before its time, as a supervisor does. */
export class Role {
  readonly ends: RoleEnd[] = [];
  starts = 0;
  /** Signals that the lab sent it, so that the end is no surprise. */
  killed = 0;
  private child: ChildProcess | null = null;
  /** Whether nothing more comes from the process at work, or from the last one. */
  closed = true;
  private over = false;
  private written = '';
  private timer: NodeJS.Timeout | undefined;
  private nextAfterMs: number | null = null;
  private beforeStart: () => void = () => undefined;

  constructor(private readonly command: RoleCommand) {}

  get name(): string {
    return this.command.name;
  }

  /** Of the process at work; 0 when there is none. */
  get pid(): number {
    return this.child === null || hasEnded(this.child) ? 0 : (this.child.pid ?? 0);
  }

  /** The end of what the process at work, or the last one, wrote. */
  get output(): string {
    return this.written;
  }

  get isDone(): boolean {
    return this.over;
  }

  start(): void {
    if (this.over) return;
    this.starts++;
    const { program, args, env, logFile, onStart, onLine, isDone } = this.command;
    onStart?.();
    const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.written = '';
    let torn = '';
    const keep = (text: string): void => {
      this.written = (this.written + text).slice(-4_000);
      appendFileSync(logFile, text);
    };
    child.stderr.setEncoding('utf8').on('data', keep);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      keep(text);
      const whole = (torn + text).split('\n');
      torn = whole.pop() ?? '';
      for (const line of whole) onLine?.(line);
    });
    this.closed = false;
    child.once('close', (code, signal) => {
      this.closed = true;
      const end = { code, signal, output: this.written };
      this.ends.push(end);
      appendFileSync(logFile, `-- ended: ${signal ?? code ?? ''}\n`);
      if (this.over) return;
      if (isDone(end) || this.starts >= this.command.mostStarts) {
        this.over = true;
        return;
      }
      const after = this.nextAfterMs ?? againMs;
      this.nextAfterMs = null;
      this.timer = setTimeout(() => {
        this.beforeStart();
        this.beforeStart = () => undefined;
        this.start();
      }, after);
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.child?.kill(signal);
  }

  /**
   * SIGKILL; it is started again after a while.
   * @param meanwhile done before that start
   */
  kill(againAfterMs: number, meanwhile: () => void = () => undefined): void {
    if (this.pid === 0) return;
    this.killed++;
    this.nextAfterMs = againAfterMs;
    this.beforeStart = meanwhile;
    this.signal('SIGKILL');
  }

  /** No new start from now on; what runs goes on. */
  retire(): void {
    this.over = true;
    clearTimeout(this.timer);
  }

  /** Waits for its own end within a time, then asks for it. @returns whether it ended in order */
  async end(withinMs: number, graceMs: number): Promise<boolean> {
    this.retire();
    const { child } = this;
    if (child === null || hasEnded(child)) return true;
    const waited = Date.now() + withinMs;
    while (!hasEnded(child) && Date.now() < waited) await new Promise((resolve) => setTimeout(resolve, 20));
    if (hasEnded(child)) return true;
    child.kill('SIGCONT');
    const asked = Date.now();
    await stopChild(child, graceMs);
    return Date.now() - asked < graceMs;
  }
}
