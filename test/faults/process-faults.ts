import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultContext } from './fault-context.js';

/** One turn of stopping and going on, of a process that is slowed down. */
const turnMs = 50;

export async function kill({ run, fault }: FaultContext): Promise<boolean> {
  const role = run.role(fault.target);
  if (role.pid === 0 || role.isDone) return false;
  role.kill(fault.amount);
  return true;
}

export async function stop({ run, fault, lasts }: FaultContext): Promise<boolean> {
  const role = run.role(fault.target);
  const { pid } = role;
  if (pid === 0) return false;
  role.signal('SIGSTOP');
  await lasts();
  if (role.pid === pid) role.signal('SIGCONT');
  return true;
}

export async function slow({ run, fault, lasts }: FaultContext): Promise<boolean> {
  const role = run.role(fault.target);
  if (role.pid === 0) return false;
  const ended = new AbortController();
  const time = lasts().then(() => ended.abort());
  while (!ended.signal.aborted && !role.isDone) {
    const { pid } = role;
    role.signal('SIGSTOP');
    await delay((turnMs * fault.amount) / 100);
    if (role.pid === pid) role.signal('SIGCONT');
    await delay((turnMs * (100 - fault.amount)) / 100);
  }
  await time;
  return true;
}

export async function restartNats({ run, fault }: FaultContext): Promise<boolean> {
  const nats = run.role('nats');
  if (nats.pid === 0) return false;
  nats.kill(fault.amount, () => {
    if (fault.kind === 'nats-wiped') rmSync(run.natsStore, { recursive: true, force: true });
  });
  return true;
}

/** What it has now and a little more: then its allocations fail. The next process has all memory again. */
export async function limitMemory({ run, fault }: FaultContext): Promise<boolean> {
  const { pid } = run.role(fault.target);
  if (pid === 0) return false;
  const kilobytes = Number(/VmSize:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  const bytes = (kilobytes + fault.amount * 1024) * 1024;
  return kilobytes > 0 && spawnSync('prlimit', ['--pid', String(pid), `--as=${bytes}`]).status === 0;
}

export async function jumpClock({ run, fault, lasts }: FaultContext): Promise<boolean> {
  const control = run.controls.get(fault.target);
  if (control === undefined || run.role(fault.target).pid === 0) return false;
  control.setClock(fault.amount);
  await lasts();
  control.setClock(0);
  return true;
}
