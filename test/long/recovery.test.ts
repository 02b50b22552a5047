import { expect, it } from 'vitest';
import { benchRecovery } from '../bench/recovery.js';

it('goes on within a second and a unit’s computation of a worker’s death, and within five of a coordinator’s start', async () => {
  const asked: { name: string; ours: number; target: number }[] = [];
  for await (const { name, ours, target } of benchRecovery()) {
    process.stdout.write(`${name}: ${ours.toFixed(2)}\n`);
    if (target !== null) asked.push({ name, ours, target });
    // What comes then is the peer's.
    if (asked.length === 2) break;
  }
  expect(asked).toHaveLength(2);
  for (const { name, ours, target } of asked) expect(ours, name).toBeLessThanOrEqual(target);
}, 900_000);
