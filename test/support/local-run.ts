import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, expect } from 'vitest';
import type { JobInput } from '@showtell/shared/job/job.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';

const cli = resolve(dirname(fileURLToPath(import.meta.url)), '../../packages/coordinator/bin/showtell.js');

/** Generous: continuous integration has two cores, and they may be busy. */
const waitMs = 600_000;

/** A line that `train --json` prints. */
export interface RunLine {
  readonly type: 'step' | 'evaluation' | 'switch' | 'rollback' | 'checkpoint' | 'save-failed' | 'finished' | 'stopped';
  readonly step: number;
  readonly phase?: string;
  readonly loss?: number;
  readonly outcome?: string;
  readonly reason?: string;
  readonly error?: string;
  readonly path?: string;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program of the command line at work. */
export class Command {
  readonly lines: RunLine[] = [];
  readonly ended: Promise<Ended>;
  private stdout = '';
  private stderr = '';
  private over: Ended | null = null;
  private readonly watchers = new Set<() => void>();

  constructor(
    readonly child: ChildProcess,
    private readonly name: string,
  ) {
    let torn = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      const whole = (torn + text).split('\n');
      torn = whole.pop() ?? '';
      for (const line of whole) if (line.startsWith('{"type"')) this.lines.push(JSON.parse(line) as RunLine);
      this.tell();
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.tell();
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.over = { code, signal, stdout: this.stdout, stderr: this.stderr };
        resolve(this.over);
        this.tell();
      });
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isOver(): boolean {
    return this.over !== null;
  }

  /** What it has written to standard output so far. */
  get output(): string {
    return this.stdout;
  }

  /** Steps taken, as far as it has said. */
  get step(): number {
    return this.lines.findLast(({ type }) => type === 'step')?.step ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** The first line, now or later, that is wanted. @throws Error when the command ends without it, or takes too long. */
  async until(what: string, wanted: (line: RunLine) => boolean): Promise<RunLine> {
    let found: RunLine | undefined;
    await this.when(what, () => (found = this.lines.find(wanted)) !== undefined);
    return found as RunLine;
  }

  untilStep(step: number): Promise<RunLine> {
    return this.until(`step ${step}`, (line) => line.type === 'step' && line.step >= step);
  }

  /** Resolves once workers find the coordinator in the run's folder. */
  async untilRun(run: string): Promise<void> {
    await this.when('a run', () => existsSync(join(run, 'processes', 'coordinator.json')));
  }

  /** Resolves once no line has come for a while. */
  async untilQuiet(ms: number): Promise<void> {
    for (let seen = -1; seen !== this.lines.length;) {
      seen = this.lines.length;
      await delay(ms);
    }
  }

  private async when(what: string, there: () => boolean): Promise<void> {
    const deadline = Date.now() + waitMs;
    while (!there()) {
      if (this.over !== null) throw new Error(`${this.name} ended before ${what}: ${JSON.stringify(this.over)}`);
      if (Date.now() > deadline)
        throw new Error(`${this.name} did not come to ${what}: ${this.stdout}\n${this.stderr}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 500);
        const watcher = (): void => {
          clearTimeout(timer);
          this.watchers.delete(watcher);
          resolve();
        };
        this.watchers.add(watcher);
      });
    }
  }

  private tell(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}

/**
 * A job of seconds: the narrowest encoder at its smallest picture, four units a step, momentum (so that the optimizer's
 * state counts), all decisions and both phases.
 */
export const tinyJob = {
  name: 'tiny',
  model: {
    encoder: { depthMultiplier: 0.1, imageSize: 75, batchNormDecay: 0.9 },
    decoder: { embedding: 32, units: 32, vocabulary: 64 },
  },
  batch: { examples: 8, units: 4, captionLengths: [32] },
  augmentation: { enabled: false, resize: 0 },
  optimizer: { name: 'momentum' },
  phases: {
    decoderOnly: { steps: 12, learningRate: 0.1, decay: null },
    joint: { steps: 12, learningRate: 0.1, maxBleuDrop: null, guard: { maxPerplexityRatio: null } },
  },
  evaluation: { everySteps: 1000, perplexityExamples: 8, captionImages: 4, unitExamples: 4, sampleImages: 2 },
  checkpoints: { everySteps: 4, keepLast: 3 },
  engine: { threads: 1 },
} as const satisfies JobInput;

/** Fields over the tiny job's, as `--set` takes them. */
type Fields = Readonly<Record<string, unknown>>;

export interface TrainOptions {
  readonly workers: number;
  readonly set?: Fields;
  readonly args?: readonly string[];
  readonly data?: string;
  readonly job?: string;
  /** A command to start it by, such as `prlimit …`. */
  readonly through?: readonly string[];
}

/** Where a test file's runs live: a temporary folder, data and a feature cache of its own, every process accounted for. */
export class LocalCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'showtell-run-'));
  /** Shares the engine and nats-server with the user's cache, and nothing that a run writes. */
  readonly cache = join(this.folder, 'cache');
  readonly data = join(this.folder, 'data');
  private readonly commands: Command[] = [];

  private constructor() {
    mkdirSync(this.cache);
    for (const name of existsSync(cacheFolder()) ? readdirSync(cacheFolder()) : [])
      if (name !== 'features') symlinkSync(join(cacheFolder(), name), join(this.cache, name));
  }

  /** One for the test file; it goes at the file's end, with all that it started. */
  static open(): LocalCluster {
    const cluster = new LocalCluster();
    afterAll(() => cluster.close());
    return cluster;
  }

  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Draws pictures with five captions each; eight for validation. */
  async drawData(pictures = 12, directory = this.data): Promise<string> {
    const done = await this.run([
      'data',
      'synth',
      '--out',
      directory,
      '--seed',
      '3',
      '--train',
      String(pictures),
      '--size',
      '80',
    ]);
    expect(done).toMatchObject({ code: 0 });
    return directory;
  }

  writeJob(name: string, job: unknown = tinyJob): string {
    const file = this.at(`${name}.yaml`);
    writeFileSync(file, typeof job === 'string' ? job : JSON.stringify(job));
    return file;
  }

  start(args: readonly string[], through: readonly string[] = []): Command {
    const [program, ...before] = [...through, process.execPath];
    const child = spawn(program, [...before, cli, ...args], {
      env: { ...process.env, SHOWTELL_CACHE: this.cache, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const command = new Command(child, `showtell ${args.join(' ')}`);
    this.commands.push(command);
    return command;
  }

  run(args: readonly string[]): Promise<Ended> {
    return this.start(args).ended;
  }

  /** Trains the tiny job in `RUN`; a run that is there already is resumed. */
  train(run: string, { workers, set = {}, args = [], data = this.data, job, through }: TrainOptions): Command {
    const file = job ?? this.at('tiny.yaml');
    if (job === undefined && !existsSync(file)) this.writeJob('tiny');
    const overrides = Object.entries(set).flatMap(([path, value]) => ['--set', `${path}=${JSON.stringify(value)}`]);
    const resume = existsSync(join(run, 'run.json')) && !args.includes('--no-resume') ? ['--resume'] : [];
    const rest = args.filter((arg) => arg !== '--no-resume');
    return this.start(
      [
        'train',
        file,
        '--run',
        run,
        '--data',
        data,
        '--workers',
        String(workers),
        '--json',
        ...resume,
        ...overrides,
        ...rest,
      ],
      through,
    );
  }

  /** Trains to the end. */
  async trained(run: string, options: TrainOptions): Promise<Command> {
    const command = this.train(run, options);
    const ended = await command.ended;
    expect(ended, logsOf(run)).toMatchObject({ code: 0 });
    expect(survivors(run)).toEqual([]);
    expect(readdirSync(join(run, 'processes'))).toEqual([]);
    return command;
  }

  private async close(): Promise<void> {
    for (const { child, isOver } of this.commands) if (!isOver) child.kill('SIGKILL');
    for (const pid of survivors(this.folder)) end(pid);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Processes, this one aside, that name the folder in their command line: the children of its run. */
export function survivors(folder: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 0 && pid !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
      } catch {
        return false;
      }
    });
}

/** Waits until no process of the run is left. @returns the seconds it took */
export async function untilGone(run: string): Promise<number> {
  const began = performance.now();
  while (survivors(run).length > 0 && performance.now() - began < 60_000) await delay(50);
  expect(survivors(run)).toEqual([]);
  return (performance.now() - began) / 1000;
}

/** The process that `RUN/processes/NAME.json` names, once it does. */
export async function pidOf(run: string, name: string): Promise<number> {
  const file = join(run, 'processes', `${name}.json`);
  const deadline = Date.now() + waitMs;
  while (Date.now() < deadline) {
    try {
      return (JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid;
    } catch {
      await delay(50);
    }
  }
  throw new Error(`${file} is not there`);
}

/** Resolves once the worker has been taken in by the run: workers that are started together are not there together. */
export async function untilJoined(run: string, worker: string, times = 1): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (logOf(run, worker).filter(({ message }) => message === 'joined').length < times) {
    if (Date.now() > deadline) throw new Error(`${worker} did not join: ${logsOf(run)}`);
    await delay(50);
  }
}

/** What a checkpoint says of itself. */
export interface Shown {
  readonly step: number;
  readonly phase: string;
  readonly lineage: number;
  readonly examples: number;
  readonly parameters: { readonly count: number; readonly bytes: number; readonly sha256: string };
  readonly optimizer: { readonly bytes: number; readonly sha256: string };
}

/** `checkpoint show RUN[@STEP] --json`. */
export function show(checkpoint: string): Shown {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, 'checkpoint', 'show', checkpoint, '--json'], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Shown;
}

/** What decides a run's further way: two runs of one job must agree on it to the bit. */
export function bitsOf(checkpoint: string): Pick<Shown, 'step' | 'phase' | 'examples' | 'parameters' | 'optimizer'> {
  const { step, phase, examples, parameters, optimizer } = show(checkpoint);
  return { step, phase, examples, parameters, optimizer };
}

/** A line of a process's log. */
export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** The log of one process of a run: `coordinator`, `worker-1`. */
export function logOf(run: string, name: string): LogLine[] {
  const file = join(run, 'logs', `${name}.log`);
  return existsSync(file) ? linesOf<LogLine>(file) : [];
}

/** The JSON lines of a file; a torn last one is left out. */
export function linesOf<T>(file: string): T[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as T);
}

/** The end of every log, for a failure's message. */
export function logsOf(run: string): string {
  const folder = join(run, 'logs');
  if (!existsSync(folder)) return '';
  return readdirSync(folder)
    .map((name) => `${name}:\n${readFileSync(join(folder, name), 'utf8').split('\n').slice(-25).join('\n')}`)
    .join('\n');
}
