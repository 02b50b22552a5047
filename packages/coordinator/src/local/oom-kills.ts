import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * How many processes the kernel has killed for want of memory, by cgroup where it counts there and else on the whole
 * machine. A child that dies of SIGKILL while this rises was one of them.
 */
export function oomKills(root = '/'): number {
  const places = ['sys/fs/cgroup/memory.events', 'sys/fs/cgroup/memory/memory.oom_control', 'proc/vmstat'];
  const counts = places.map((place) => /^oom_kill (\d+)$/mu.exec(contentOf(join(root, place)))?.[1]);
  return Math.max(0, ...counts.map((count) => Number(count ?? 0)));
}

function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
