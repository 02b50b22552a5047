import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { eventually } from './eventually.js';

export const hasPrometheus = spawnSync('prometheus', ['--version']).status === 0;

/** One sample of an instant query. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

/** A real Prometheus on a free port of loopback, with a folder of its own; both go when it is disposed of. */
export class Prometheus implements AsyncDisposable {
  private constructor(
    readonly url: string,
    private readonly stop: () => Promise<void>,
  ) {}

  /** @param configuration a prometheus.yml; none: it scrapes nothing */
  static async start(configuration?: string): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-prometheus-'));
    const file = configuration ?? join(folder, 'prometheus.yml');
    if (configuration === undefined) writeFileSync(file, '{}');
    const url = `http://127.0.0.1:${await freePort()}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=${url.slice('http://'.length)}`,
        '--log.level=warn',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    };
    try {
      await eventually(
        'Prometheus is ready',
        async () => {
          if (child.exitCode !== null) throw new Error(`prometheus ended: ${said}`);
          return fetch(`${url}/-/ready`).then(
            ({ ok }) => ok,
            () => false,
          );
        },
        60_000,
      );
    } catch (error) {
      await stop();
      throw error;
    }
    return new Prometheus(url, stop);
  }

  /** @throws Error with Prometheus' own words when it does not understand the query */
  async query(expression: string): Promise<Sample[]> {
    const response = await fetch(`${this.url}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: expression }),
    });
    const answer = (await response.json()) as { error?: string; data?: { result: Sample[] } };
    if (answer.data === undefined) throw new Error(`${answer.error ?? response.statusText}: ${expression}`);
    return answer.data.result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
