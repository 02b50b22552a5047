import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '@showtell/coordinator/kubernetes/cluster/resources.js';
import { LeaderElection } from '@showtell/coordinator/kubernetes/operator/lease.js';
import { openLog } from '@showtell/shared/service/log.js';

const ref = { kind: 'Lease', namespace: 'n', name: 'showtell-operator' } as const;

describe('leader election', () => {
  it('stops the work in time though a request hangs', async () => {
    using log = openLog({ fields: {}, level: 'silent' });
    const hangs = new Promise<never>(() => undefined);
    let asked = 0;
    const object: KubeObject = { metadata: { name: ref.name } };
    const cluster = {
      // The first is the one that gets the lease.
      get: () => (asked++ === 0 ? Promise.resolve(null) : hangs),
      create: () => Promise.resolve(object),
      replace: () => hangs,
    };
    const election = new LeaderElection(cluster, { ref, identity: 'a', log, renewWithinMs: 2_500 });
    const began = performance.now();
    let leftAfterMs = 0;
    const work = async (signal: AbortSignal): Promise<void> => {
      await delay(20_000, undefined, { signal }).catch(() => undefined);
      leftAfterMs = performance.now() - began;
    };
    void election.lead(work, new AbortController().signal);
    await expect.poll(() => leftAfterMs, { timeout: 10_000 }).toBeGreaterThan(0);
    expect(leftAfterMs).toBeLessThan(5_000);
  });
});
