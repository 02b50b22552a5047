import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startChild, stopChild } from './child.js';
import { freePorts } from './free-port.js';

const graceMs = 2_000;
const main = fileURLToPath(new URL('../cli/main.js', import.meta.url));

interface StartedShard {
  readonly pid: number;
  readonly restarts: number;
  readonly http: string;
}

interface Ports {
  readonly grpc: number;
  readonly http: number;
}

export interface ShardProcessesOptions {
  readonly count: number;
  /** Where they listen. */
  readonly host: string;
  readonly logFolder: string;
  /** Their certificates; null: nothing is secured. */
  readonly secured: string | null;
  /** Called with every process started, the first of each too. `http` is where its /metrics will be. */
  readonly onStart: (name: string, started: StartedShard) => void;
}

/** A run's own shards of the parameter server: child processes, each started again on its ports when it ends before its time. */
export class ShardProcesses implements AsyncDisposable {
  readonly #children: ChildProcess[] = [];
  #stopping = false;

  private constructor(
    private readonly options: ShardProcessesOptions,
    private readonly ports: readonly Ports[],
  ) {}

  static async start(options: ShardProcessesOptions): Promise<ShardProcesses> {
    const free = await freePorts(2 * options.count);
    const ports = Array.from({ length: options.count }, (_, shard): Ports => {
      const [grpc = 0, http = 0] = free.slice(2 * shard);
      return { grpc, http };
    });
    const processes = new ShardProcesses(options, ports);
    for (const [shard, place] of ports.entries()) processes.#start(shard, place, 0);
    return processes;
  }

  /** host:port of each. */
  get addresses(): string[] {
    return this.ports.map(({ grpc }) => `${this.options.host}:${grpc}`);
  }

  #start(shard: number, ports: Ports, restarts: number): void {
    const { host, logFolder, secured, onStart } = this.options;
    const name = `ps-${shard + 1}`;
    const args = [
      main,
      'ps',
      '--host',
      host,
      '--grpc-port',
      String(ports.grpc),
      '--http-port',
      String(ports.http),
      '--parent',
      ...(secured === null ? [] : ['--tls', secured]),
    ];
    const child = startChild(process.execPath, args, { logFile: join(logFolder, `${name}.log`) });
    this.#children[shard] = child;
    onStart(name, { pid: child.pid ?? 0, restarts, http: `http://${host}:${ports.http}` });
    child.once('exit', () => {
      child.stdin?.destroy();
      if (this.#stopping) return;
      // Not at once: one that cannot start would start all the time.
      setTimeout(
        () => {
          if (!this.#stopping) this.#start(shard, ports, restarts + 1);
        },
        100 * Math.min(restarts, 50),
      ).unref();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#children.map((child) => stopChild(child, graceMs)));
  }
}
