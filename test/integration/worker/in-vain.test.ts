import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { killStarted, runShowtell, startWorker, writeJob } from './processes.js';

const haveEngine = existsSync(engineFolder('cpu').addon);
const patience = 120_000;

describe('a worker that waits in vain', () => {
  afterEach(killStarted);

  /** Nobody listens at port 1. */
  const outcome = async (data: string, ...more: string[]) => {
    const job = writeJob(join(temporaryFolder(), 'job.yaml'));
    const worker = startWorker(['--coordinator', '127.0.0.1:1', '--job', job, '--data', data, '--wait', '1s', ...more]);
    return { code: await worker.ended, output: worker.output() };
  };

  it(
    'for data is to be tried again where the end of its run is awaited, and says what was lacking',
    async () => {
      const bucket = 'nats://127.0.0.1:1/pictures';
      expect(await outcome(bucket)).toMatchObject({ code: 69 });
      const patient = await outcome(bucket, '--until-complete');
      expect(patient).toMatchObject({ code: 75, output: expect.stringContaining('NATS') as string });
    },
    patience,
  );

  it.skipIf(!haveEngine)(
    'for a coordinator likewise (needs the engine: showtell engine setup)',
    async () => {
      const data = join(temporaryFolder(), 'data');
      await runShowtell('data', 'synth', '--out', data, '--seed', '1', '--train', '8', '--size', '80');
      expect(await outcome(data)).toMatchObject({ code: 69 });
      const patient = await outcome(data, '--until-complete');
      expect(patient).toMatchObject({ code: 75, output: expect.stringContaining('No coordinator') as string });
    },
    patience,
  );
});
