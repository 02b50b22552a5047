import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureNatsServer } from '@showtell/coordinator/local/nats-binary.js';
import { NatsProcess } from '@showtell/coordinator/local/nats-process.js';
import { silent } from '@showtell/shared/set-up/progress.js';

export interface TestNats extends AsyncDisposable {
  readonly url: string;
  /** Kills the server, which loses what it had in memory; it is started again on its port. */
  restart(): void;
}

/** A real nats-server on a free port of loopback. */
export async function startTestNats(): Promise<TestNats> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-nats-'));
  const nats = await NatsProcess.start({
    binary: await ensureNatsServer(silent),
    storeDirectory: join(folder, 'store'),
    logFile: join(folder, 'nats.log'),
    onStart: () => undefined,
  });
  return {
    url: nats.url,
    restart: () => void process.kill(nats.pid, 'SIGKILL'),
    async [Symbol.asyncDispose]() {
      await nats[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
