import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { identityOf, isSameProcess, ownIdentity, type ProcessIdentity } from './process-identity.js';

/** What `RUN/processes/NAME.json` says at least of a process of the run, so that scripts can find and signal it. */
export interface ProcessFile extends ProcessIdentity {
  readonly role: 'coordinator' | 'nats' | 'parameter-server' | 'worker';
}

const ending = '.json';

/** What a process tells of itself besides who it is. */
type Facts = Pick<ProcessFile, 'role'> & Readonly<Record<string, unknown>>;

/** @param name one that is safe as a file's name: `coordinator`, `nats`, `ps-1`, `worker-1` */
function fileOf(run: string, name: string): string {
  return join(run, 'processes', `${name}${ending}`);
}

/** Undefined when there is none that can be read. */
function read(file: string): ProcessFile | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessFile;
  } catch {
    return undefined;
  }
}

/** A process of another host is taken to run: nobody here can tell. */
function mayRun(process: ProcessFile): boolean {
  return process.host !== hostname() || isSameProcess(process);
}

/** Announces this process until the result is disposed of, or another has announced itself by the same name. */
export function announceProcess(run: string, name: string, facts: Facts): Disposable {
  return write(run, name, { ...facts, ...ownIdentity() });
}

/** Announces a child process, as {@link announceProcess} does. */
export function announceChild(run: string, name: string, pid: number, facts: Facts): Disposable {
  return write(run, name, { ...facts, ...identityOf(pid) });
}

function write(run: string, name: string, content: ProcessFile): Disposable {
  mkdirSync(join(run, 'processes'), { recursive: true });
  const file = fileOf(run, name);
  const beside = `${file}.${process.pid}.tmp`;
  const text = `${JSON.stringify(content, null, 2)}\n`;
  writeFileSync(beside, text);
  renameSync(beside, file);
  return {
    [Symbol.dispose]: () => {
      if (existsSync(file) && readFileSync(file, 'utf8') === text) rmSync(file, { force: true });
    },
  };
}

/** What a process that runs has announced; undefined where there is none, or one of this host that has ended since. */
export function announcedProcess(run: string, name: string): ProcessFile | undefined {
  const found = read(fileOf(run, name));
  return found !== undefined && mayRun(found) ? found : undefined;
}

/**
 * Removes the announcements of this host's processes that ended without doing so themselves, and what they had begun to
 * write: those that were killed.
 */
export function forgetEndedProcesses(run: string): void {
  const folder = join(run, 'processes');
  if (!existsSync(folder)) return;
  for (const place of [run, folder])
    for (const name of readdirSync(place)) {
      const pid = /\.(\d+)\.tmp$/.exec(name)?.[1];
      if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(place, name), { force: true });
    }
  for (const name of readdirSync(folder).filter((each) => each.endsWith(ending))) {
    const found = read(join(folder, name));
    if (found !== undefined && !mayRun(found)) rmSync(join(folder, name), { force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
