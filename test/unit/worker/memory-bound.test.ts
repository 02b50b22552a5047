import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { oomKills } from '@showtell/coordinator/local/oom-kills.js';
import { memorySize, parseMemorySize } from '@showtell/shared/service/memory-size.js';
import { memoryLimit, usualBound } from '@showtell/worker/memory-bound.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const GiB = 1024 ** 3;

/** A file system with these files alone. */
function machine(files: Readonly<Record<string, string>>): string {
  const root = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

describe("the cgroup's limit", () => {
  it.each([
    ['version 2', { 'proc/self/cgroup': '0::/a/b\n', 'sys/fs/cgroup/a/b/memory.max': `${GiB}\n` }, GiB],
    ['version 2 in a container', { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/memory.max': `${GiB}\n` }, GiB],
    [
      'version 1',
      {
        'proc/self/cgroup': '5:cpu:/\n4:memory:/a\n0::/\n',
        'sys/fs/cgroup/memory/a/memory.limit_in_bytes': `${GiB}\n`,
      },
      GiB,
    ],
    ['none in version 2', { 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': 'max\n' }, null],
    ['none in version 1', { 'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n' }, null],
    ['more than the machine has', { 'sys/fs/cgroup/memory.max': `${64 * GiB}\n` }, null],
    ['no cgroups', {}, null],
  ])('%s', (_, files, limit) => {
    expect(memoryLimit(machine(files), 16 * GiB)).toBe(limit);
  });

  it('leaves a tenth to spare', () => {
    expect(usualBound(machine({ 'sys/fs/cgroup/memory.max': '1000000' }))).toBe(900_000);
    expect(usualBound(machine({}))).toBeNull();
  });
});

it('a size is read and written as people do', () => {
  const sizes = ['4G', '4GiB', '1.5Gi', '512M', '100000000', '2T'].map(parseMemorySize);
  expect(sizes).toEqual([4 * GiB, 4 * GiB, 1.5 * GiB, GiB / 2, 100_000_000, 2048 * GiB]);
  for (const text of ['', 'G', '-1G', '0', '4 G', '4g', '1K', '15M', '1025T', '9999999999T'])
    expect(parseMemorySize(text), text).toBeNull();
  expect([GiB, 1.25 * GiB, GiB / 2].map(memorySize)).toEqual(['1.00 GiB', '1.25 GiB', '512 MiB']);
});

it("the kernel's kills for want of memory are counted by cgroup, or on the whole machine", () => {
  expect(oomKills(machine({ 'sys/fs/cgroup/memory.events': 'low 0\noom 3\noom_kill 2\noom_group_kill 0\n' }))).toBe(2);
  expect(oomKills(machine({ 'sys/fs/cgroup/memory/memory.oom_control': 'under_oom 0\noom_kill 4\n' }))).toBe(4);
  expect(oomKills(machine({ 'proc/vmstat': 'pgfault 1\noom_kill 5\n' }))).toBe(5);
  expect(oomKills(machine({}))).toBe(0);
});
