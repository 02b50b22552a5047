import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it, vi } from 'vitest';
import { forOlderGlibc } from './older-glibc.js';
import { targetNames } from './targets.js';

/** A process loads TypeScript and the fuzzer: seconds, and more on a busy machine. */
vi.setConfig({ testTimeout: 300_000 });

const run = promisify(execFile);

/** As `npm run fuzz` starts it, after the build. */
const fuzz = (...more: string[]) => run('npx', ['tsx', 'test/fuzz/main.ts', ...more]);

it('npm run fuzz goes through a target by jazzer.js and says what it found', async () => {
  expect(readFileSync('package.json', 'utf8')).toContain('tsx test/fuzz/main.ts');
  const { stdout } = await fuzz('--target', 'vocabulary', '--runs', '500');
  expect(stdout).toMatch(/^vocabulary +500 runs in \d+ s, \d+ a second: nothing found$/m);
});

it('it knows its targets, and refuses others', async () => {
  const { stdout } = await fuzz('--list');
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ')[0]),
  ).toEqual(targetNames);
  await expect(fuzz('--target', 'no-such')).rejects.toMatchObject({ code: 64 });
});

it('the addon for older glibc differs in names and versions of symbols alone', () => {
  const addon = readFileSync('node_modules/@jazzer.js/fuzzer/prebuilds/fuzzer-linux-x64.node');
  const changed = forOlderGlibc(addon);
  expect(changed.length).toBe(addon.length);
  const differing = [...addon.keys()].filter((i) => addon[i] !== changed[i]).length;
  expect(differing).toBeGreaterThan(0);
  expect(differing).toBeLessThan(40);
});
