import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stopChild } from '@showtell/coordinator/local/child.js';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { eventually } from '../support/eventually.js';

const version = '2.5.0';

/** Builds Toxiproxy from its module, once, into the cache. @returns the program; null without Go or a network */
export function buildToxiproxy(): string | null {
  const folder = join(cacheFolder(), 'fault-lab', `toxiproxy-${version}`);
  const program = join(folder, 'server');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const module = `github.com/Shopify/toxiproxy/v2/cmd/server@v${version}`;
  const env = { ...process.env, GOBIN: folder, GOFLAGS: '-mod=mod' };
  spawnSync('go', ['install', '-ldflags', '-s -w', module], { env });
  return existsSync(program) ? program : null;
}

/** https://github.com/Shopify/toxiproxy#toxics */
export interface Toxic {
  readonly type: 'latency' | 'bandwidth' | 'timeout' | 'slicer';
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

/** A Toxiproxy at work, for all clusters of this process. */
export class Toxiproxy implements AsyncDisposable {
  private constructor(
    private readonly child: ChildProcess,
    private readonly url: string,
  ) {}

  static async start(program: string): Promise<Toxiproxy> {
    const port = await freePort();
    const child = spawn(program, ['-host', '127.0.0.1', '-port', String(port)], { stdio: 'ignore' });
    const toxiproxy = new Toxiproxy(child, `http://127.0.0.1:${port}`);
    await eventually('Toxiproxy answers', () =>
      fetch(`${toxiproxy.url}/version`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    return toxiproxy;
  }

  /** A proxy of this name before a port of loopback. */
  async open(name: string, upstreamPort: number): Promise<ToxicLink> {
    const port = await freePort();
    const listen = `127.0.0.1:${port}`;
    await this.ask('POST', '/proxies', { name, listen, upstream: `127.0.0.1:${upstreamPort}`, enabled: true });
    return new ToxicLink(port, name, (method, path, body) => this.ask(method, path, body));
  }

  private async ask(method: string, path: string, body?: unknown): Promise<void> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      // Toxiproxy closes a connection that idles, it may be in the moment in which it is used again.
      headers: { connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`Toxiproxy: ${method} ${path}: ${await answer.text()}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return stopChild(this.child, 2_000);
  }
}

/** One proxy, whose connections can be ill-treated. */
export class ToxicLink implements AsyncDisposable {
  private toxics = 0;

  constructor(
    readonly port: number,
    private readonly name: string,
    private readonly ask: (method: string, path: string, body?: unknown) => Promise<void>,
  ) {}

  /** Closes all connections and refuses new ones, or takes them again. */
  enable(enabled: boolean): Promise<void> {
    return this.ask('POST', `/proxies/${this.name}`, { enabled });
  }

  /** @returns how to take it off again */
  async add(...toxics: readonly Toxic[]): Promise<() => Promise<void>> {
    const names: string[] = [];
    for (const toxic of toxics) {
      const name = `t${++this.toxics}`;
      await this.ask('POST', `/proxies/${this.name}/toxics`, { ...toxic, name, toxicity: 1 });
      names.push(name);
    }
    return async () => {
      for (const name of names) await this.ask('DELETE', `/proxies/${this.name}/toxics/${name}`);
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.ask('DELETE', `/proxies/${this.name}`);
  }
}
