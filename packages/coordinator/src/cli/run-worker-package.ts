import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Device, passOnErrors } from './engine-notes.js';

/**
 * Runs one of the worker package's programs in this terminal: coordinator and worker meet as processes only. Its standard error
 * comes without what TensorFlow notes there for nobody. It is led by a channel that closes when this process ends, however it
 * ends; then the program ends, too.
 *
 * @param device what its engine computes on
 * @returns its exit code; 128 and the signal's number when a signal ended it, as shells have it
 */
export async function runWorkerPackage(program: string, args: readonly string[], device: Device): Promise<number> {
  const file = fileURLToPath(import.meta.resolve(`@showtell/worker/${program}`));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['inherit', 'inherit', 'pipe', 'ipc'] });
  if (child.stderr !== null) passOnErrors(child.stderr, process.stderr, device);
  // Ctrl-C reaches the child by the terminal; this process waits for what the child makes of it.
  const ignore = (): void => undefined;
  const forward = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', ignore).on('SIGTERM', forward);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  process.off('SIGINT', ignore).off('SIGTERM', forward);
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}

/** Flags as commander has them (`maxMegapixels: '9'`) as the program takes them (`--max-megapixels 9`). */
export function passOn(flags: Readonly<Record<string, string | number | true | undefined>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined) return [];
    return value === true ? [flag] : [`${flag}=${value}`];
  });
}
