import { join } from 'node:path';
import { trainSession } from '@showtell/coordinator/cli/session.js';
import { Control } from '@showtell/coordinator/control.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.js';

describe('a session', () => {
  it.each([
    [3, ['a:1', 'b:2']],
    [2, ['a:1']],
  ])('whose job has %d shards is not given %j', async (parameterShards, shards) => {
    const listen = { natsUrl: 'nats://127.0.0.1:1', host: '127.0.0.1', grpcPort: 0, httpPort: 0, pageToken: null };
    const run = { run: join(temporaryFolder(), 'run'), resume: false, from: null, workers: 0 };
    const job = parseJob({ cluster: { parameterShards } });
    await expect(trainSession({ ...run, ...listen, job, shards }, new Control()).next()).rejects.toMatchObject({
      code: 'job/other-shards',
      exitCode: 78,
    });
  });
});
