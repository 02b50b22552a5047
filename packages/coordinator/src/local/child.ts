import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync } from 'node:fs';

/**
 * A child of the laptop cluster. It is led by a pipe on its standard input: when this process ends, however it ends, the
 * pipe closes and the child goes too. It is out of the terminal's process group, so that Ctrl-C reaches this process
 * alone, which then stops its children in order.
 */
export function startChild(
  command: string,
  args: readonly string[],
  options: { readonly logFile: string; readonly directory?: string },
): ChildProcess {
  const log = openSync(options.logFile, 'a');
  try {
    return spawn(command, args, {
      stdio: ['pipe', log, log],
      detached: true,
      cwd: options.directory,
    });
  } finally {
    closeSync(log);
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** SIGTERM, then SIGKILL for one that has not ended within `graceMs`. */
export async function stopChild(child: ChildProcess, graceMs: number): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await ended;
  clearTimeout(force);
}
