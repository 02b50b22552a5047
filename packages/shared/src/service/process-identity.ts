import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** Tells one process from another that was given the same id later. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** When it started, in the kernel's clock ticks since boot; null where /proc does not tell. */
  readonly startTicks: number | null;
  /** ISO time, for people. */
  readonly startedAt: string;
}

function startTicks(pid: number): number | null {
  try {
    // proc(5): field 22, counted after the command's closing parenthesis, which may itself hold spaces.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? null : Number(rest[18]);
  } catch {
    return null;
  }
}

export function ownIdentity(): ProcessIdentity {
  return { ...identityOf(process.pid), startedAt: new Date(Date.now() - process.uptime() * 1000).toISOString() };
}

/** Of a child that has just been started. */
export function identityOf(pid: number): ProcessIdentity {
  return { pid, host: hostname(), startTicks: startTicks(pid), startedAt: new Date().toISOString() };
}

/** Whether the process described, of this host, still runs. */
export function isSameProcess(identity: Pick<ProcessIdentity, 'pid' | 'startTicks'>): boolean {
  if (identity.startTicks !== null) return startTicks(identity.pid) === identity.startTicks;
  try {
    process.kill(identity.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
