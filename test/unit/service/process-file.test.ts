import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  announceChild,
  announcedProcess,
  announceProcess,
  forgetEndedProcesses,
} from '@showtell/shared/service/process-file.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const announced = (run: string): string[] => readdirSync(join(run, 'processes')).sort();

it('announces this process until it is disposed of', () => {
  const run = temporaryFolder();
  {
    using _announced = announceProcess(run, 'worker-1', { role: 'worker', http: 'http://127.0.0.1:1' });
    expect(announcedProcess(run, 'worker-1')).toMatchObject({
      role: 'worker',
      pid: process.pid,
      http: 'http://127.0.0.1:1',
    });
    expect(announced(run)).toEqual(['worker-1.json']);
  }
  expect(announcedProcess(run, 'worker-1')).toBeUndefined();
  expect(announced(run)).toEqual([]);
});

it('leaves alone who announced itself later by the same name', () => {
  const run = temporaryFolder();
  const first = announceProcess(run, 'coordinator', { role: 'coordinator', generation: 1 });
  announceProcess(run, 'coordinator', { role: 'coordinator', generation: 2 });
  first[Symbol.dispose]();
  expect(announcedProcess(run, 'coordinator')).toMatchObject({ generation: 2 });
});

it('ignores and forgets processes of this host that have ended, and no others', async () => {
  const run = temporaryFolder();
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  announceChild(run, 'nats', child.pid ?? 0, { role: 'nats' });
  const torn = [join(run, `job.json.${child.pid}.tmp`), join(run, 'processes', `nats.json.${child.pid}.tmp`)];
  for (const file of torn) writeFileSync(file, '{"pid":');
  using _own = announceProcess(run, 'coordinator', { role: 'coordinator' });
  expect(announcedProcess(run, 'nats')?.pid).toBe(child.pid);
  forgetEndedProcesses(run);
  expect(torn.every((file) => existsSync(file))).toBe(true);
  expect(announced(run)).toEqual(['coordinator.json', 'nats.json', `nats.json.${child.pid}.tmp`]);

  // The same id on another host says nothing about a process here; what cannot be read is nobody's to remove.
  const here = JSON.parse(readFileSync(join(run, 'processes', 'nats.json'), 'utf8')) as object;
  const elsewhere = { ...here, host: 'elsewhere' };
  writeFileSync(join(run, 'processes', 'worker-far.json'), JSON.stringify(elsewhere));
  writeFileSync(join(run, 'processes', 'worker-torn.json'), '{"pid":');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(announcedProcess(run, 'nats')).toBeUndefined();
  forgetEndedProcesses(run);
  expect(torn.some((file) => existsSync(file))).toBe(false);
  expect(announced(run)).toEqual(['coordinator.json', 'worker-far.json', 'worker-torn.json']);
});

it('knows a process from a later one of the same id', () => {
  const run = temporaryFolder();
  mkdirSync(join(run, 'processes'));
  const file = join(run, 'processes', 'nats.json');
  announceChild(run, 'nats', process.pid, { role: 'nats' });
  const content = JSON.parse(readFileSync(file, 'utf8')) as { startTicks: number };
  writeFileSync(file, JSON.stringify({ ...content, startTicks: content.startTicks - 1 }));
  expect(announcedProcess(run, 'nats')).toBeUndefined();
  forgetEndedProcesses(run);
  expect(announced(run)).toEqual([]);
});

it('finds nothing to forget where no process ever was', () => {
  expect(() => forgetEndedProcesses(temporaryFolder())).not.toThrow();
});
