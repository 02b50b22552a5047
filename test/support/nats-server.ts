import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stopChild } from '@showtell/coordinator/local/child.js';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { ensureNatsServer } from '@showtell/coordinator/local/nats-binary.js';
import { NatsProcess } from '@showtell/coordinator/local/nats-process.js';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { silent } from '@showtell/shared/set-up/progress.js';
import { eventually } from './eventually.js';

export interface TestNats extends AsyncDisposable {
  readonly url: string;
  /** Kills the server, which loses what it had in memory; it is started again on its port. */
  restart(): void;
  /** It answers nobody from now on; {@link restart} ends that. */
  pause(): void;
}

/** A real nats-server on a free port of loopback. @param secured folder with `nats.conf` and certificates */
export async function startTestNats(secured: string | null = null): Promise<TestNats> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-nats-'));
  const nats = await NatsProcess.start({
    binary: await ensureNatsServer(silent),
    storeDirectory: join(folder, 'store'),
    logFile: join(folder, 'nats.log'),
    secured,
    lookMs: 50,
    onStart: () => undefined,
  });
  return {
    url: nats.url,
    restart: () => void process.kill(nats.pid, 'SIGKILL'),
    pause: () => void process.kill(nats.pid, 'SIGSTOP'),
    async [Symbol.asyncDispose]() {
      await nats[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A nats-server with a configuration of its own; JetStream only where that has it. */
export async function startNatsWith(
  configuration: string,
  onPort?: number,
): Promise<Pick<TestNats, 'url' | typeof Symbol.asyncDispose>> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-nats-'));
  const file = join(folder, 'nats.conf');
  writeFileSync(file, configuration.replaceAll('STORE', join(folder, 'store')));
  const port = onPort ?? (await freePort());
  const args = ['-c', file, '-a', '127.0.0.1', '-p', String(port)];
  const binary = await ensureNatsServer(silent);
  const child = spawn(binary, args, { stdio: 'ignore' });
  const url = `nats://127.0.0.1:${port}`;
  await eventually('nats-server answers', async () => {
    const connection = await connectBus({ servers: [url], name: 'test' }).catch(() => null);
    await connection?.close();
    return connection !== null;
  });
  return {
    url,
    async [Symbol.asyncDispose]() {
      await stopChild(child, 2_000);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
