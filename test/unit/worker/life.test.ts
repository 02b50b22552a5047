import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { hasEnded, stopChild } from '@showtell/coordinator/local/child.js';
import { expect, it, onTestFinished } from 'vitest';
import { eventually } from '../../support/eventually.js';

const program = fileURLToPath(new URL('../../support/watched-life.mjs', import.meta.url));

/** A process that watches its life, once it does. */
async function started(...args: readonly string[]): Promise<{ child: ChildProcess; said: () => string }> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
  await eventually('it watches', () => text.includes('ready\n'));
  return { child, said: () => text };
}

it('a worker that is told to end twice ends at once, whatever it is at', async () => {
  const { child, said } = await started();
  child.kill('SIGTERM');
  await eventually('it drains', () => said().includes('drain SIGTERM\n'));
  expect(hasEnded(child)).toBe(false);
  const ended = once(child, 'close');
  child.kill('SIGINT');
  expect(await ended).toEqual([null, 'SIGKILL']);
  expect(said()).toBe('ready\ndrain SIGTERM\nforce\n');
});

it('a worker that cannot end its unit is killed when its grace period is over, one that can is not', async () => {
  const [endless, orderly] = await Promise.all([started(), started('--obey')]);
  await stopChild(endless.child, 500);
  expect([endless.child.exitCode, endless.child.signalCode]).toEqual([null, 'SIGKILL']);
  expect(endless.said()).not.toContain('force');
  await stopChild(orderly.child, 60_000);
  expect([orderly.child.exitCode, orderly.child.signalCode]).toEqual([0, null]);
  expect(orderly.said()).toBe('ready\ndrain SIGTERM\n');
});
