import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import { seal } from '@showtell/shared/rpc/seal.js';
import { isSameProcess, type ProcessIdentity } from '@showtell/shared/service/process-identity.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { stopChild } from '@showtell/coordinator/local/child.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import {
  eventually,
  killStarted,
  lines,
  parameterHash,
  runShowtell,
  startShowtell,
  startWorker,
  writeJob,
  type Running,
} from './processes.js';

const haveEngine = existsSync(engineFolder('cpu').addon);
const patience = 240_000;

describe.skipIf(!haveEngine)('worker processes (need the engine: showtell engine setup)', () => {
  let shared: string;
  let data: string;
  let hash: string;

  const train = (run: string, fields: Record<string, unknown> = {}, ...more: string[]): Running => {
    const job = writeJob(`${run}.yaml`, fields);
    return startShowtell('train', job, '--run', run, '--data', data, '--workers', '0', '--json', ...more);
  };

  /** Once the coordinator of a run takes workers. */
  const began = (run: string) =>
    eventually(`the coordinator of ${run}`, () => {
      const file = join(run, 'processes', 'coordinator.json');
      return existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { grpc: string; nats: string });
    });

  /** Once the run has its first line of steps, or any of the given number. */
  const reach = (run: string, steps: number) =>
    eventually(`step ${steps} of ${run}`, () => lines(run, 'steps.jsonl').length >= steps, patience);

  afterEach(killStarted);

  beforeAll(async () => {
    shared = mkdtempSync(join(tmpdir(), 'showtell-test-'));
    data = join(shared, 'data');
    await runShowtell('data', 'synth', '--out', data, '--seed', '1', '--train', '24', '--size', '80');
    const run = join(shared, 'reference');
    const trained = startShowtell(
      ...['train', writeJob(join(shared, 'job.yaml')), '--run', run, '--data', data, '--workers', '1', '--json'],
    );
    expect(await trained.ended, trained.output()).toBe(0);
    hash = await parameterHash(run);
  }, patience);

  it(
    'joins by hand, is written down while it works, and leaves when the run is complete',
    async () => {
      const run = join(temporaryFolder(), 'run');
      const coordinator = train(run, { cluster: { leaseSeconds: 1 } });
      await began(run);
      const worker = startWorker(['--run', run, '--id', 'by-hand']);
      const file = join(run, 'processes', 'worker-by-hand.json');
      const announced = await eventually('its process file', () => existsSync(file) && readFileSync(file, 'utf8'));
      expect(JSON.parse(announced)).toMatchObject({ pid: worker.child.pid, role: 'worker', id: 'by-hand' });
      expect(await worker.ended, worker.output()).toBe(0);
      expect(await coordinator.ended, coordinator.output()).toBe(0);
      expect(existsSync(file)).toBe(false);
      expect(await parameterHash(run)).toBe(hash);
      // Compiling takes longer than the lease of a second, and no unit went to anyone twice.
      const attempts = lines(run, 'steps.jsonl').flatMap(({ units }) => units as { attempt: number }[]);
      expect(attempts).toHaveLength(8 * 4);
      expect(attempts.every(({ attempt }) => attempt === 1)).toBe(true);
    },
    patience,
  );

  it(
    'is drained by SIGTERM in mid-run, and the parameters are the same in the end',
    async () => {
      const run = join(temporaryFolder(), 'run');
      const coordinator = train(run, { phases: { decoderOnly: { steps: 8, learningRate: 0.1 }, joint: { steps: 0 } } });
      await began(run);
      const first = startWorker(['--run', run, '--id', 'first', '--wait', '2m']);
      await reach(run, 2);
      const second = startWorker(['--run', run, '--id', 'second']);
      first.child.kill('SIGTERM');
      expect(await first.ended, first.output()).toBe(0);
      expect(await second.ended, second.output()).toBe(0);
      expect(await coordinator.ended, coordinator.output()).toBe(0);
      expect(await parameterHash(run)).toBe(hash);
    },
    patience,
  );

  it(
    'that stands still as it is told to end is killed after the grace period, and its unit is computed by another',
    async () => {
      const run = join(temporaryFolder(), 'run');
      const coordinator = train(run);
      await began(run);
      const first = startWorker(['--run', run, '--id', 'first', '--wait', '2m']);
      await reach(run, 2);
      first.child.kill('SIGSTOP');
      const second = startWorker(['--run', run, '--id', 'second']);
      await stopChild(first.child, 500);
      expect(await first.ended, first.output()).toBe('SIGKILL');
      expect(await second.ended, second.output()).toBe(0);
      expect(await coordinator.ended, coordinator.output()).toBe(0);
      expect(await parameterHash(run)).toBe(hash);
    },
    patience,
  );

  it(
    'ends within 5 s of its parent, however busy',
    async () => {
      const run = join(temporaryFolder(), 'run');
      train(run, { phases: { decoderOnly: { steps: 100_000, learningRate: 0.1 }, joint: { steps: 0 } } });
      await began(run);
      const worker = startWorker(['--run', run, '--id', 'child', '--parent']);
      await reach(run, 1);
      const before = Date.now();
      worker.child.stdin?.end();
      await worker.ended;
      expect(Date.now() - before).toBeLessThan(5_000);
    },
    patience,
  );

  it(
    'ends after `showtell worker`, which leads it, was killed',
    async () => {
      const run = join(temporaryFolder(), 'run');
      train(run, { phases: { decoderOnly: { steps: 100_000, learningRate: 0.1 }, joint: { steps: 0 } } });
      await began(run);
      const leader = startShowtell('worker', '--run', run, '--id', 'led');
      await reach(run, 1);
      const file = join(run, 'processes', 'worker-led.json');
      const led = JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
      onTestFinished(() => {
        if (isSameProcess(led)) process.kill(led.pid, 'SIGKILL');
      });
      leader.child.kill('SIGKILL');
      await eventually('it has ended too', () => !isSameProcess(led));
      const reasons = lines(run, 'logs', 'worker-led.log').map(({ message, reason }) => [message, reason]);
      expect(reasons).toContainEqual(['draining', 'the parent process is gone']);
    },
    patience,
  );

  it(
    'waits for the next coordinator after one was killed, and goes on to the same parameters',
    async () => {
      const run = join(temporaryFolder(), 'run');
      const first = train(run, { checkpoints: { everySteps: 2 } });
      await began(run);
      const worker = startWorker(['--run', run, '--id', 'loyal', '--wait', '2m']);
      await reach(run, 3);
      first.child.kill('SIGKILL');
      await first.ended;
      const second = startShowtell('train', '--run', run, '--workers', '0', '--resume', '--json');
      expect(await second.ended, second.output()).toBe(0);
      expect(await worker.ended, worker.output()).toBe(0);
      expect(await parameterHash(run)).toBe(hash);
    },
    patience,
  );

  it(
    'computes no unit of another run, generation or job that lies in its queue',
    async () => {
      const run = join(temporaryFolder(), 'run');
      const coordinator = train(run);
      const { nats } = await began(run);
      const { run: name, jobSha256 } = new RunFolder(run).identity();
      const bus = await connectBus({ servers: [nats], name: 'test' });
      onTestFinished(() => bus.close());
      const id = { run: name, generation: 1, lineage: 1, step: 0, index: 0, attempt: 9, evaluation: false };
      const work: Unit['work'] = { $case: 'training', value: { records: [], seed: 0, oldestVersion: 0 } };
      const strange = [
        { id: { ...id, run: 'other' }, jobSha256, work },
        { id: { ...id, generation: 7 }, jobSha256, work },
        { id, jobSha256: 'other', work },
      ];
      for (const [i, unit] of strange.entries())
        await bus.jetstream().publish(`showtell.${name}.g1.units.now.test.${i}`, seal(Unit.encode(unit).finish()));
      const worker = startWorker(['--run', run, '--id', 'careful']);
      expect(await worker.ended, worker.output()).toBe(0);
      expect(await coordinator.ended, coordinator.output()).toBe(0);
      const told = lines(run, 'logs', 'worker-careful.log').flatMap(({ of }) => (of === undefined ? [] : [of]));
      expect(told).toEqual(
        strange.map((unit) => ({ run: unit.id.run, generation: unit.id.generation, job: unit.jobSha256 })),
      );
      expect(await parameterHash(run)).toBe(hash);
    },
    patience,
  );

  it(
    'that was started for a run is told when its coordinator leads another',
    async () => {
      const [own, other] = [join(temporaryFolder(), 'run'), join(temporaryFolder(), 'run')];
      const steps = { phases: { decoderOnly: { steps: 100_000, learningRate: 0.1 }, joint: { steps: 0 } } };
      train(other, steps);
      const { grpc } = await began(other);
      const first = train(own, steps);
      await began(own);
      first.child.kill('SIGKILL');
      await first.ended;
      // What it left behind says where it was: there the other one is now.
      const file = join(own, 'processes', 'coordinator.json');
      writeFileSync(
        file,
        JSON.stringify({ ...JSON.parse(readFileSync(join(other, 'processes', 'coordinator.json'), 'utf8')), grpc }),
      );
      const worker = startWorker(['--run', own]);
      expect(await worker.ended, worker.output()).toBe(78);
      const names = [own, other].map((run) => new RunFolder(run).identity().run);
      expect(worker.output()).toContain('worker/other-run');
      for (const name of names) expect(worker.output()).toContain(name);
    },
    patience,
  );

  it(
    'is refused with another job, and when its arithmetic differs',
    async () => {
      const folder = temporaryFolder();
      const run = join(folder, 'run');
      train(run, { phases: { decoderOnly: { steps: 100_000, learningRate: 0.1 }, joint: { steps: 0 } } });
      const { grpc } = await began(run);
      const sound = startWorker(['--run', run, '--id', 'sound']);
      await reach(run, 1);
      const job = writeJob(join(folder, 'other.yaml'), { seed: 4 });
      const other = startWorker(['--coordinator', grpc, '--job', job, '--data', data]);
      expect(await other.ended, other.output()).toBe(78);
      expect(other.output()).toContain('worker/other-job');
      // Without oneDNN TensorFlow computes by other kernels: the same sums in another order.
      const unlike = startWorker(['--run', run, '--id', 'unlike'], { TF_ENABLE_ONEDNN_OPTS: '0' });
      expect(await unlike.ended, unlike.output()).toBe(78);
      expect(unlike.output()).toContain('canary');
      expect(sound.child.exitCode).toBeNull();
    },
    patience,
  );

  it('gives up when no coordinator comes within the time told', async () => {
    const run = join(shared, 'reference');
    const worker = startWorker(['--run', run, '--wait', '1s']);
    expect(await worker.ended, worker.output()).toBe(69);
    expect(worker.output()).toContain('No coordinator answered');
  }, 60_000);

  it('says what is wrong with its options', async () => {
    const worker = startWorker(['--run', 'a', '--coordinator', 'b:1']);
    expect(await worker.ended).toBe(64);
    expect(worker.output()).toContain('either --run or --coordinator');
    const missing = startWorker(['--run', join(shared, 'nowhere')]);
    expect(await missing.ended).toBe(66);
  });
});
