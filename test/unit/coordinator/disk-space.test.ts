import { tmpdir } from 'node:os';
import { watchDisk } from '@showtell/coordinator/disk-space.js';
import { openCoordinatorMetrics } from '@showtell/coordinator/metrics.js';
import { expect, it } from 'vitest';
import { eventually } from '../../support/eventually.js';

it('tells the room that is left where a folder lies', async () => {
  const { series } = openCoordinatorMetrics();
  const value = async (name: 'diskFree' | 'diskSize'): Promise<number> =>
    (await series[name].get()).values[0]?.value ?? 0;
  using _disk = watchDisk(tmpdir(), series);
  await eventually('the size is known', async () => (await value('diskSize')) > 0);
  expect(await value('diskFree')).toBeLessThanOrEqual(await value('diskSize'));
});
