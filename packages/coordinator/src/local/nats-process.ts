import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ShowtellError } from '@showtell/shared/errors.js';
import { tlsFiles } from '@showtell/shared/security/tls-files.js';
import { watchFiles } from '@showtell/shared/security/watch-files.js';
import { natsConfigurationFile } from '../security/nats-configuration.js';
import { hasEnded, startChild, stopChild } from './child.js';
import { freePort } from './free-port.js';

const startMs = 15_000;
const graceMs = 2_000;

export interface NatsOptions {
  /** The nats-server program. */
  readonly binary: string;
  /** Folder for JetStream's store. */
  readonly storeDirectory: string;
  readonly logFile: string;
  /** Folder with `nats.conf` and its certificates; null: whoever reaches the port may do anything. */
  readonly secured?: string | null;
  /** How often those files are looked at. Default 5 s. */
  readonly lookMs?: number;
  /** Called with every process started, the first too: after an unexpected end it is started again on its port. */
  readonly onStart: (pid: number, restarts: number) => void;
}

/** A nats-server of this run's own on loopback, started again whenever it ends before its time. */
export class NatsProcess implements AsyncDisposable {
  private stopping = false;
  private restarts = 0;
  private restart: NodeJS.Timeout | undefined;
  private renewing: Disposable | null = null;

  private constructor(
    private readonly options: NatsOptions,
    private readonly port: number,
    private child: ChildProcess,
  ) {}

  /** @throws ShowtellError `nats/not-starting` with the end of its log. */
  static async start(options: NatsOptions): Promise<NatsProcess> {
    mkdirSync(options.storeDirectory, { recursive: true });
    const port = await freePort();
    const nats = new NatsProcess(options, port, launch(options, port));
    nats.watch();
    await nats.untilReady();
    nats.followRenewals();
    return nats;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping = true;
    this.renewing?.[Symbol.dispose]();
    clearTimeout(this.restart);
    await stopChild(this.child, graceMs);
    rmSync(this.options.storeDirectory, { recursive: true, force: true });
  }

  private watch(): void {
    const { child } = this;
    this.options.onStart(child.pid ?? 0, this.restarts);
    child.once('exit', () => {
      child.stdin?.destroy();
      if (this.stopping) return;
      this.restarts++;
      this.restart = setTimeout(
        () => {
          this.child = launch(this.options, this.port);
          this.watch();
        },
        100 * Math.min(this.restarts, 50),
      );
    });
  }

  /** On SIGHUP nats-server reads its files anew. */
  private followRenewals(): void {
    const { secured = null, lookMs } = this.options;
    if (secured === null) return;
    const names = [natsConfigurationFile, tlsFiles.ca, tlsFiles.certificate, tlsFiles.key];
    const files = names.map((name) => join(secured, name));
    this.renewing = watchFiles(files, () => void this.child.kill('SIGHUP'), lookMs);
  }

  private async untilReady(): Promise<void> {
    const deadline = Date.now() + startMs;
    while (Date.now() < deadline && !hasEnded(this.child)) {
      if (await answers(this.port)) return;
      await delay(20);
    }
    this.stopping = true;
    await stopChild(this.child, graceMs);
    const log = readFileSync(this.options.logFile, 'utf8').trimEnd().split('\n').slice(-3).join('\n');
    throw new ShowtellError('nats/not-starting', { binary: this.options.binary, port: this.port, log });
  }
}

/**
 * The shell becomes the server, and leaves behind a reader of the pipe that ends it when the pipe closes: nats-server
 * itself does not watch its standard input.
 */
const led = 'exec 3<&0; ( read _ <&3; kill -TERM $$ 2>/dev/null ) >/dev/null 2>&1 & exec "$0" "$@" </dev/null 3<&-';

function launch({ binary, storeDirectory, logFile, secured = null }: NatsOptions, port: number): ChildProcess {
  const configured = secured === null ? [] : ['-c', natsConfigurationFile];
  const args = [...configured, '-a', '127.0.0.1', '-p', String(port), '-js', '-sd', resolve(storeDirectory)];
  // Its configuration names files beside it.
  const where = secured === null ? {} : { directory: secured };
  return startChild('sh', ['-c', led, binary.includes('/') ? resolve(binary) : binary, ...args], { logFile, ...where });
}

/** Whether the server greets, as it does once it is ready. */
async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (ready: boolean): void => {
      socket.destroy();
      resolve(ready);
    };
    socket.setTimeout(500, () => finish(false));
    socket.once('data', (greeting) => finish(greeting.toString().startsWith('INFO')));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}
