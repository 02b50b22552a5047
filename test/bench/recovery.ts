import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BenchFigure } from './figure.js';
import { drawScenes, HandStartedCluster } from './hand-started.js';
import { median } from './median.js';
import { torchPython } from './peers/torch.js';
import type { JobInput } from '@showtell/shared/job/job.js';
import { startTestNats } from '../support/nats-server.js';

const elastic = fileURLToPath(new URL('./peers/elastic.py', import.meta.url));
const command = 'npm run bench -- --only recovery';
const workerKills = 20;
/** Of the same kill under torchrun; it is begun anew whenever it stands still, so many times at the most. */
const peerKills = 20;
const peerStarts = 30;
const coordinatorKills = 5;
/** For the peer's next step. */
const patienceMs = 120_000;
/** Steps between kills that tell how long one takes when nothing happens. */
const quietSteps = 12;

/** Two units a step for two workers: without one of them a step takes one unit's computation longer. */
const job = {
  name: 'recovery',
  model: {
    encoder: { depthMultiplier: 0.25, imageSize: 139 },
    decoder: { embedding: 32, units: 32, vocabulary: 64 },
  },
  batch: { examples: 16, units: 2, captionLengths: [32] },
  augmentation: { enabled: false, resize: 0 },
  phases: { decoderOnly: { steps: 100_000, learningRate: 0.01, decay: null }, joint: { steps: 0 } },
  evaluation: { everySteps: 1_000_000, perplexityExamples: 8, captionImages: 0, unitExamples: 8, sampleImages: 0 },
  checkpoints: { everySteps: 5, keepLast: 3 },
  cluster: { featureCache: 'off' },
  engine: { threads: 1 },
} satisfies JobInput;

/** How much later a run's next step comes when one of its processes is killed. */
export async function* benchRecovery(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    await using nats = await startTestNats();
    await drawScenes(join(folder, 'data'), 24, 139);
    await using cluster = new HandStartedCluster(folder, nats.url, job);
    cluster.begin();
    await cluster.isThere();
    const { late, step } = await killWorkers(cluster);
    const killed = `a worker killed: the next step later by (median of ${workerKills})`;
    yield { ...plain, name: killed, ours: median(late) / 1000, target: 1 + step / 1000, unit: 's' };
    yield { ...plain, name: `the same, the longest of ${workerKills}`, ours: Math.max(...late) / 1000, unit: 's' };
    yield { ...plain, name: 'a step of that job', ours: step, unit: 'ms' };
    const again = await killCoordinator(cluster);
    const name = `a coordinator killed: from its start again to the next step (longest of ${coordinatorKills})`;
    yield { ...plain, name, ours: Math.max(...again) / 1000, target: 5, unit: 's' };
    await cluster[Symbol.asyncDispose]();
    const peer = await killRanks(folder, step / 1000);
    if (peer !== null)
      yield {
        ...plain,
        name: `a rank of torchrun killed: the next step later by (median of ${peerKills})`,
        ours: peer,
        unit: 's',
      };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const plain = { peer: null, ratio: null, target: null, command } as const;

/** @returns by how many ms each kill held up the later one of the two steps after it, and a step's median without one */
async function killWorkers(cluster: HandStartedCluster): Promise<{ readonly late: number[]; readonly step: number }> {
  cluster.worker('steady');
  const late: number[] = [];
  const usual: number[] = [];
  for (let kill = 0; kill < workerKills; kill++) {
    const id = `victim-${kill}`;
    const victim = cluster.worker(id);
    await cluster.joined(id);
    // Its first units compile.
    await cluster.further(4);
    const from = cluster.steps.length;
    await cluster.further(quietSteps);
    const quiet = cluster.steps.slice(from).map(({ seconds }) => seconds * 1000);
    usual.push(...quiet);
    // Anywhere within a step.
    await delay(((kill * 0.37) % 1) * median(quiet));
    const { length } = cluster.steps;
    victim.kill('SIGKILL');
    await cluster.further(2);
    const after = cluster.steps.slice(length, length + 2).map(({ seconds }) => seconds * 1000);
    late.push(Math.max(...after) - median(quiet));
    if (process.env['SHOWTELL_BENCH_VERBOSE'] === '1') console.error({ kill, late: late.at(-1), step: median(quiet) });
  }
  return { late, step: median(usual) };
}

/** @returns ms from each start of another coordinator to its first step */
async function killCoordinator(cluster: HandStartedCluster): Promise<number[]> {
  cluster.worker('second');
  await cluster.joined('second');
  const times: number[] = [];
  for (let kill = 0; kill < coordinatorKills; kill++) {
    await cluster.further(quietSteps);
    cluster.killCoordinator();
    await delay(1_000);
    const { length } = cluster.steps;
    const began = Date.now();
    cluster.begin();
    await cluster.further(1);
    times.push((cluster.steps[length]?.at ?? NaN) - began);
  }
  return times;
}

/** The same kill under torchrun, whose agent restarts all ranks. @returns seconds, the median; null without PyTorch */
async function killRanks(folder: string, seconds: number): Promise<number | null> {
  const python = await torchPython();
  if (python === null) return null;
  const late: number[] = [];
  for (let start = 0; late.length < peerKills; start++) {
    if (start === peerStarts) {
      console.error(`no figure of torchrun: ${late.length} kills of ${peerKills} in ${peerStarts} starts`);
      return null;
    }
    late.push(...(await killRanksOnce(join(folder, `elastic-${start}`), python, seconds, peerKills - late.length)));
  }
  return median(late) / 1000;
}

/** @returns by how many ms each kill held up the next step, until torchrun took no step any more */
async function killRanksOnce(out: string, python: string, seconds: number, kills: number): Promise<number[]> {
  const options = ['--standalone', '--nproc-per-node', '2', '--max-restarts', '1000'];
  const args = ['-m', 'torch.distributed.run', ...options, elastic, '--out', out, '--seconds', String(seconds)];
  const log = openSync(`${out}.log`, 'w');
  // With the agent's own store what a restart finds of the ranks before lets it hang in gloo, now and then.
  const environment = { ...process.env, OMP_NUM_THREADS: '1', TORCH_DISABLE_SHARE_RDZV_TCP_STORE: '1' };
  const torchrun = spawn(python, args, { stdio: ['ignore', log, log], env: environment });
  closeSync(log);
  const late: number[] = [];
  try {
    const steps = (): number[] =>
      existsSync(out)
        ? readFileSync(out, 'utf8')
            .split('\n')
            .slice(0, -1)
            .map((line) => (JSON.parse(line) as { at: number }).at)
        : [];
    const further = async (count: number): Promise<void> => {
      const deadline = Date.now() + patienceMs;
      const wanted = steps().length + count;
      while (steps().length < wanted) {
        if (Date.now() > deadline) throw new Error('it takes no step');
        await delay(20);
      }
    };
    while (late.length < kills) {
      await further(quietSteps);
      const quiet = steps().slice(-quietSteps);
      const step = median(quiet.slice(1).map((at, i) => at - (quiet[i] ?? NaN)));
      await delay(((late.length * 0.37) % 1) * step);
      const { length } = steps();
      process.kill(Number(readFileSync(`${out}.1`, 'utf8')), 'SIGKILL');
      // The step that was at its end may still come.
      await further(3);
      const times = steps().slice(length - 1, length + 3);
      late.push(Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? NaN))) - step);
    }
  } catch (error) {
    const end = readFileSync(`${out}.log`, 'utf8').split('\n').slice(-12).join('\n');
    console.error(`torchrun is started anew after ${late.length} kills: ${String(error)}\n${end}`);
  } finally {
    const ended = new Promise((resolve) => torchrun.once('exit', resolve));
    torchrun.kill('SIGTERM');
    const force = setTimeout(() => torchrun.kill('SIGKILL'), 40_000);
    await ended;
    clearTimeout(force);
  }
  return late;
}
