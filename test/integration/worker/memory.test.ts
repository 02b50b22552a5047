import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { WorkerProcesses } from '@showtell/coordinator/local/worker-processes.js';
import type { ShowtellError } from '@showtell/shared/errors.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { bitsOf, LocalCluster, logOf, logsOf, survivors } from '../../support/local-run.js';

const haveEngine = existsSync(engineFolder('cpu').addon);
const cluster = LocalCluster.open();
const minutes = 60_000;
const set = { 'phases.decoderOnly.steps': 5, 'phases.joint.steps': 0 };

describe.skipIf(!haveEngine)('memory (needs the engine: showtell engine setup)', () => {
  beforeAll(() => cluster.drawData(), 5 * minutes);

  it(
    'a worker that outgrows its bound finishes its unit and is replaced; no unit is lost and the bits are the same',
    async () => {
      const [run, plain] = [cluster.at('bounded'), cluster.at('plain')];
      await cluster.trained(plain, { workers: 1, set });
      // Any worker is larger than this as soon as it has computed something.
      await cluster.trained(run, { workers: 2, set, args: ['--max-memory', '50M'] });
      expect(bitsOf(run)).toEqual(bitsOf(plain));
      const log = logOf(run, 'coordinator');
      const again = log.filter(({ message }) => message === 'a worker ended and is started again');
      expect(again.map(({ ended }) => ended)).toContain('its memory had grown past its bound');
      expect(
        log.filter(({ message }) => message === 'a worker died'),
        logsOf(run),
      ).toEqual([]);
      const workers = ['worker-1', 'worker-2'].flatMap((name) => logOf(run, name));
      const told = workers.find(({ message }) => message.startsWith('memory has grown past its bound'));
      expect(told).toMatchObject({ bound: '50 MiB', resident: expect.stringMatching(/ [MG]iB$/u) as string });
    },
    10 * minutes,
  );

  it('workers that the kernel kills for want of memory end the run with advice; ones killed otherwise do not', async () => {
    const run = cluster.at('plain');
    const restarts: string[] = [];
    let kills = 0;
    let hopeless: ShowtellError | null = null;
    await using workers = new WorkerProcesses({
      ...{ runDirectory: run, count: 1, maxMemory: null, oomKills: () => kills },
      onRestart: (_, ended) => restarts.push(ended),
      onHopeless: (error) => (hopeless = error),
    });
    const killed = async (): Promise<void> => {
      const [seen] = [restarts.length];
      process.kill(survivors(run)[0] ?? NaN, 'SIGKILL');
      for (let i = 0; i < 200 && restarts.length === seen && hopeless === null; i++) await delay(50);
    };
    await killed();
    kills++;
    await killed();
    expect(restarts).toEqual(['SIGKILL', 'memory ran out']);
    kills++;
    await killed();
    expect(hopeless).toMatchObject({ code: 'worker/out-of-memory', exitCode: 71 });
    expect((hopeless as ShowtellError | null)?.remedy).toContain('batch.units');
    workers.retire();
  });
});
