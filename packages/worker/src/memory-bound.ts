import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';

/** A worker leaves by itself before the kernel kills it at the limit. */
const shareOfLimit = 0.9;
const lookMs = 1_000;

/** The most resident bytes a worker may have if nobody says so: most of its cgroup's limit; null where there is none. */
export function usualBound(root = '/'): number | null {
  const limit = memoryLimit(root);
  return limit === null ? null : Math.floor(limit * shareOfLimit);
}

/** This process's limit by cgroups of either version; null where there is none, or it is more than the machine has. */
export function memoryLimit(root = '/', machine = totalmem()): number | null {
  const own = contentOf(join(root, 'proc/self/cgroup'));
  const [, second = ''] = /^0::(.*)$/mu.exec(own) ?? [];
  const [, first = ''] = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/mu.exec(own) ?? [];
  const base = join(root, 'sys/fs/cgroup');
  // Within a container its own group is what is mounted, whatever the path says.
  const files = [
    ...[join(base, second, 'memory.max'), join(base, 'memory.max')],
    ...[join(base, 'memory', first, 'memory.limit_in_bytes'), join(base, 'memory', 'memory.limit_in_bytes')],
  ];
  const limits = files.map((file) => Number.parseInt(contentOf(file), 10));
  const limit = limits.find((bytes) => bytes > 0);
  return limit === undefined || limit >= machine ? null : limit;
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Looks once a second whether this process has outgrown its bound, and tells it once. */
export function watchMemory(bound: number | null, onOutgrown: (resident: number) => boolean): Disposable {
  const timer =
    bound === null
      ? undefined
      : setInterval(() => {
          const resident = process.memoryUsage.rss();
          if (resident > bound && onOutgrown(resident)) clearInterval(timer);
        }, lookMs);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
