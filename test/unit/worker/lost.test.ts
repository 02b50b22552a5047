import { setTimeout as delay } from 'node:timers/promises';
import { jobSchema } from '@showtell/shared/job/job.js';
import { openLog } from '@showtell/shared/service/log.js';
import { noTracing } from '@showtell/shared/service/tracing.js';
import { layOut } from '@showtell/shared/tensors/layout.js';
import type { Membership } from '@showtell/worker/membership.js';
import { openWorkerMetrics } from '@showtell/worker/metrics.js';
import type { WorkerParts } from '@showtell/worker/worker-parts.js';
import { Worker } from '@showtell/worker/worker.js';
import { expect, it } from 'vitest';

it('a worker whose way to units is gone for good leaves its session, to join anew', async () => {
  using log = openLog({ fields: {}, level: 'silent' });
  const parts = {
    ...{ id: 'w', job: jobSchema.parse({ batch: { examples: 2, units: 1 } }), metrics: openWorkerMetrics(), log },
    ...{ layout: layOut([]), tracing: noTracing, rules: { dropout: { embedding: 1 } } },
    engine: { memory: async () => ({ tensors: 0, graphs: 0 }) },
  } as unknown as WorkerParts;
  const member = {
    session: { welcome: { run: 'r', generation: 1 }, ended: new Promise(() => undefined), send: () => undefined },
    parameters: { transport: 'grpc' },
    // As while the broker is away.
    queue: { pull: () => delay(5, null) },
  } as unknown as Membership;
  const worker = new Worker(parts);
  const work = worker.work(member);
  await delay(50);
  expect(worker.state).toBe('waiting');
  worker.lose();
  expect(await work).toBe('lost');
  expect(worker.state).toBe('stopped');
});
