import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withFileLock } from '@showtell/shared/set-up/file-lock.js';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'showtell-lock-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it('lets one holder in at a time, and says once whom it waits for', async () => {
  const file = join(folder, 'lock');
  const events: string[] = [];
  const waited: string[] = [];
  const hold = (name: string) =>
    withFileLock(
      file,
      async () => {
        events.push(`${name} in`);
        await sleep(300);
        events.push(`${name} out`);
      },
      (holder) => waited.push(holder),
    );
  await Promise.all([hold('a'), hold('b')]);
  expect(events.map((event) => event.slice(2))).toEqual(['in', 'out', 'in', 'out']);
  expect(waited).toEqual([`${hostname()} ${process.pid}`]);
  expect(existsSync(file)).toBe(false);
});

it('is given up when the work throws', async () => {
  const file = join(folder, 'lock');
  await expect(withFileLock(file, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(existsSync(file)).toBe(false);
});

it('takes over from a process of this host that is gone', async () => {
  const file = join(folder, 'lock');
  const gone = spawnSync(process.execPath, ['-e', '']).pid;
  writeFileSync(file, `${hostname()} ${gone}\n`);
  expect(await withFileLock(file, async () => readFileSync(file, 'utf8'))).toBe(`${hostname()} ${process.pid}\n`);
});

it('waits for a process of another host until its lock was not touched for a minute', async () => {
  const file = join(folder, 'lock');
  writeFileSync(file, 'elsewhere 1\n');
  let entered = false;
  const waiting = withFileLock(file, async () => {
    entered = true;
  });
  await sleep(500);
  expect(entered).toBe(false);
  const longAgo = new Date(Date.now() - 61_000);
  utimesSync(file, longAgo, longAgo);
  await waiting;
  expect(entered).toBe(true);
});
