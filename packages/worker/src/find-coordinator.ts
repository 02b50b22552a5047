import { setTimeout as delay } from 'node:timers/promises';
import { mayCome } from '@showtell/shared/bus/open-data.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { announcedProcess } from '@showtell/shared/service/process-file.js';
import type { WorkerOptions } from './options.js';

const retryMs = 250;

/** Address of the coordinator; null while none is known that may be at work. */
export function coordinatorAddress(run: WorkerOptions['run']): string | null {
  if (!('folder' in run)) return run.coordinator;
  const found = announcedProcess(run.folder, 'coordinator') as { readonly grpc?: string } | undefined;
  return found?.grpc ?? null;
}

/** Whether a worker ended since what it waited for, coordinator or data, did not come; it may come to the next one. */
export const wasInVain = (error: unknown): boolean =>
  mayCome(error) || (error instanceof ShowtellError && error.code === 'worker/no-coordinator');

/**
 * Tries to join until it works. A coordinator that was killed leaves its address behind, on another host unnoticed, so
 * an address alone means nothing.
 *
 * @param join throws a ShowtellError when trying again would be of no use
 * @param stopped asked between tries
 * @returns null when stopped
 * @throws ShowtellError `worker/no-coordinator` after the time to wait
 */
export async function joinWhenThere<T>(
  options: Pick<WorkerOptions, 'run' | 'waitSeconds'>,
  join: (address: string) => Promise<T>,
  stopped: () => boolean,
): Promise<T | null> {
  const deadline = performance.now() + options.waitSeconds * 1000;
  let cause: unknown = null;
  while (!stopped()) {
    const address = coordinatorAddress(options.run);
    if (address !== null) {
      try {
        return await join(address);
      } catch (error) {
        if (error instanceof ShowtellError && error.code !== 'bus/unreachable') throw error;
        cause = error;
      }
    }
    if (performance.now() > deadline) {
      const where = 'folder' in options.run ? options.run.folder : options.run.coordinator;
      const { details, message } = (cause ?? {}) as { readonly details?: string; readonly message?: string };
      const facts = { where, seconds: options.waitSeconds, detail: details ?? message ?? '' };
      throw new ShowtellError('worker/no-coordinator', facts, { cause });
    }
    await delay(retryMs);
  }
  return null;
}
