import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import type { ServedStatus } from '@showtell/coordinator/served-status.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { startTestNats } from '../../support/nats-server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { killStarted, lines, runShowtell, startShowtell, startWorker, writeJob } from './processes.js';

const haveEngine = existsSync(engineFolder('cpu').addon);
const patience = 240_000;

/** Coordinator and workers under a supervisor that starts whatever ends: a StatefulSet and a Job of Kubernetes. */
describe.skipIf(!haveEngine)('a supervised cluster (needs the engine: showtell engine setup)', () => {
  afterEach(killStarted);

  it(
    'outlasts its coordinator, tells leaving from completion, and says afterwards how it ended',
    async () => {
      await using nats = await startTestNats();
      const folder = temporaryFolder();
      const [data, run] = [join(folder, 'data'), join(folder, 'run')];
      mkdirSync(run);
      await runShowtell('data', 'synth', '--out', data, '--seed', '1', '--train', '24', '--size', '80');
      const job = writeJob(join(folder, 'job.yaml'), {
        phases: { decoderOnly: { steps: 40, learningRate: 0.1 }, joint: { steps: 0 } },
      });
      const [grpc, http] = [await freePort(), await freePort()];
      const coordinator = (file = job) =>
        startShowtell(
          ...['coordinator', file, '--run', run, '--data', data, '--nats', nats.url, '--stay'],
          ...['--grpc-port', String(grpc), '--http-port', String(http)],
        );
      const status = async (): Promise<ServedStatus | null> => {
        const answer = await fetch(`http://127.0.0.1:${http}/status`).catch(() => null);
        return answer === null ? null : ((await answer.json()) as ServedStatus);
      };
      const until = async (what: string, wanted: (status: ServedStatus) => boolean): Promise<ServedStatus> => {
        for (let i = 0; i < patience / 100; i++) {
          const now = await status();
          if (now !== null && wanted(now)) return now;
          await delay(100);
        }
        throw new Error(`not: ${what}`);
      };
      const worker = (id: string) =>
        startWorker([
          ...['--coordinator', `127.0.0.1:${grpc}`, '--job', job, '--data', data],
          ...['--id', id, '--wait', '3m', '--until-complete'],
        ]);

      const first = coordinator();
      const [staying, leaving] = [worker('staying'), worker('leaving')];
      const training = await until('two steps', ({ step = 0, workers = [] }) => step >= 2 && workers.length === 2);
      expect(training).toMatchObject({ state: 'training', totalSteps: 40, phase: 'decoder-only', generation: 1 });
      leaving.child.kill('SIGTERM');
      expect(await leaving.ended, leaving.output()).toBe(75);
      first.child.kill('SIGTERM');
      expect(await first.ended, first.output()).toBe(11);

      const second = coordinator();
      const finished = await until('the end', ({ state }) => state === 'finished');
      expect(finished).toMatchObject({ step: 40, generation: 2, checkpointStep: 40, end: { reason: 'complete' } });
      expect(await staying.ended, staying.output()).toBe(0);
      const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
      expect(metrics).toContain('\nshowtell_step 40\n');
      expect(metrics).toMatch(/\nshowtell_(loss|perplexity) [1-9]/u);
      expect(metrics).toContain('showtell_phase{phase="decoder-only"} 1');
      expect(metrics).toMatch(/showtell_bleu\{n="4"\} \d/u);
      expect(metrics, 'nobody leads the run any more').not.toContain('showtell_run_info{');
      expect(lines(run, 'steps.jsonl').length).toBeGreaterThanOrEqual(40);
      // One that was being started as the run ended, whose exit code a Job of Kubernetes waits for.
      const late = worker('late');
      expect(await late.ended, late.output()).toBe(0);
      second.child.kill('SIGTERM');
      expect(await second.ended, second.output()).toBe(0);

      const other = coordinator(writeJob(join(folder, 'other.yaml'), { seed: 4 }));
      const failed = await until('the failure', ({ state }) => state === 'failed');
      expect(failed.end).toMatchObject({ reason: 'run/other-job', message: expect.stringContaining('seed') as string });
      other.child.kill('SIGTERM');
      expect(await other.ended, other.output()).toBe(78);
    },
    patience,
  );
});
