import { basename } from 'node:path';
import { Registry } from 'prom-client';
import { ShowtellError } from '@showtell/shared/errors.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { isLoopbackName } from '../../dashboard/access.js';
import { MountedDashboard, pageToken } from '../../dashboard/mount.js';
import { nowOfFolder } from '../../dashboard/run-now.js';
import type { ShownRun } from '../../dashboard/server.js';
import { RunFolder } from '../../run-folder.js';

export interface BoardOptions {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
}

/** `showtell board`: serves the page of runs until a signal. @throws ShowtellError `run/missing`, `service/no-token` */
export async function board(paths: readonly string[], { host, port, tokenFile }: BoardOptions): Promise<void> {
  const token = pageToken(tokenFile);
  if (token === null && !isLoopbackName(host)) throw new ShowtellError('service/no-token', { host });
  const told = new AbortController();
  const end = (): void => told.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  const registry = new Registry();
  await using page = new MountedDashboard({ runs: shownRuns(paths), host, token });
  await using server = await serveHttp({
    ...{ host, port, registry, ready: () => true, handle: page.handle },
    what: 'the board',
    setting: '--port',
  });
  process.stdout.write(`${server.url}\n`);
  if (!told.signal.aborted)
    await new Promise<void>((resolve) => told.signal.addEventListener('abort', () => resolve()));
  // Before the server: open event streams would hold it up.
  await page[Symbol.asyncDispose]();
}

/** Names in addresses are the folders' own, with a number where two are called the same. */
function shownRuns(paths: readonly string[]): ShownRun[] {
  const ids = new Set<string>();
  return paths.map((path) => {
    const folder = new RunFolder(path);
    folder.identity();
    const name = basename(folder.path);
    let id = name;
    for (let n = 2; ids.has(id); n++) id = `${name}-${n}`;
    ids.add(id);
    return { id, folder, now: nowOfFolder(folder), commands: null };
  });
}
