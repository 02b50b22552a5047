import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { kept } from '../../support/kept.js';

it('what takes long is kept for a commit, and done anew for another, or where files differ from it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-kept-'));
  const before = process.env['GIT_DIR'];
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
    expect(process.env['GIT_DIR']).toBe(before);
  });
  const work = join(folder, 'work');
  const git = (...args: string[]): void => {
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
    expect(spawnSync('git', [...identity, ...args], { encoding: 'utf8' }).status, args.join(' ')).toBe(0);
  };
  spawnSync('git', ['init', '-q', work]);
  vi.stubEnv('GIT_DIR', join(work, '.git'));
  vi.stubEnv('GIT_WORK_TREE', work);
  vi.stubEnv('SHOWTELL_CACHE', join(folder, 'cache'));
  const commit = (text: string): void => {
    writeFileSync(join(work, 'file'), text);
    git('add', '.');
    git('commit', '-qm', text);
  };
  let done = 0;
  const value = (): Promise<number> => kept('a thing: once', async () => ++done);

  commit('one');
  expect([await value(), await value()]).toEqual([1, 1]);
  await expect(kept('fails', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await kept('fails', async () => 'done')).toBe('done');
  commit('two');
  expect([await value(), await value()]).toEqual([2, 2]);
  writeFileSync(join(work, 'file'), 'changed');
  expect([await value(), await value()]).toEqual([3, 4]);
});
