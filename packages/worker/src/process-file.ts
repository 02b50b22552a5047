import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ownIdentity } from '@showtell/shared/service/process-identity.js';

/** `worker-NAME`, however the worker is called. */
export function workerFileName(id: string): string {
  const safe = id.replace(/[^A-Za-z0-9._-]/g, '_');
  return safe.startsWith('worker') ? safe : `worker-${safe}`;
}

/** Announces this process in `RUN/processes`, until the result is disposed of. */
export function announceWorker(folder: string, id: string, metrics: string): Disposable {
  const directory = join(folder, 'processes');
  mkdirSync(directory, { recursive: true });
  const file = join(directory, `${workerFileName(id)}.json`);
  const beside = `${file}.${process.pid}.tmp`;
  writeFileSync(beside, `${JSON.stringify({ role: 'worker', id, ...ownIdentity(), http: metrics }, null, 2)}\n`);
  renameSync(beside, file);
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) };
}
