import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JobInput } from '@showtell/shared/job/job.js';
import type { BenchFigure } from './figure.js';
import { drawScenes, HandStartedCluster } from './hand-started.js';
import { startTestNats } from '../support/nats-server.js';

const command = 'npm run bench -- --only modes';
/** Validation loss a word that all are timed to. */
const targetLoss = 1;
const patienceMs = 300_000;
/** The straggler is stopped for three quarters of the time. */
const [runsMs, standsMs] = [50, 150];
/** Examples between evaluations, the same for all. */
const evaluationExamples = 640;
const unitExamples = 8;

const base = {
  name: 'modes',
  model: {
    encoder: { depthMultiplier: 0.25, imageSize: 107 },
    decoder: { embedding: 64, units: 64, vocabulary: 128, initScale: 0.35, keep: 1 },
  },
  augmentation: { enabled: false, resize: 0 },
  checkpoints: { everySteps: 1_000_000, keepLast: 1 },
  // Each unit computes its pictures' features, as on data too large to be seen twice.
  cluster: { featureCache: 'off' },
  engine: { threads: 1 },
} as const;

const evaluation = { perplexityExamples: 64, captionImages: 0, unitExamples: 8, sampleImages: 0 };
/** Each mode has the one with which it is fastest when nobody is slow. */
const rates = [0.4, 0.8, 1.6];
const adagrad = { name: 'adagrad' } as const;

function synchronous(rate: number, more: Partial<NonNullable<JobInput['cluster']>> = {}): JobInput {
  const examples = 4 * unitExamples;
  return {
    ...base,
    batch: { examples, units: 4, captionLengths: [16, 32] },
    optimizer: adagrad,
    phases: { decoderOnly: { steps: 100_000, learningRate: rate, decay: null }, joint: { steps: 0 } },
    evaluation: { ...evaluation, everySteps: evaluationExamples / examples },
    cluster: { ...base.cluster, ...more },
  };
}

const asynchronous = (rate: number): JobInput => ({
  ...base,
  batch: { examples: unitExamples, units: 1, captionLengths: [16, 32] },
  optimizer: adagrad,
  phases: { decoderOnly: { steps: 400_000, learningRate: rate, decay: null }, joint: { steps: 0 } },
  evaluation: { ...evaluation, everySteps: evaluationExamples / unitExamples },
  asynchronous: { maxStaleness: 16, warmStartSteps: 20 },
});

/** Seconds of training to the same validation loss, two workers of which one may be a straggler. */
export async function* benchModes(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    await using nats = await startTestNats();
    await drawScenes(join(folder, 'data'), 2_000, 107);
    const modes: [string, (rate: number) => JobInput][] = [
      ['synchronous, no second leases', (rate) => synchronous(rate, { stragglerFactor: null })],
      ['synchronous', synchronous],
      ['asynchronous', asynchronous],
    ];
    const peers: { quick: number | null; slow: number | null } = { quick: null, slow: null };
    for (const [mode, jobOf] of modes) {
      let best = { rate: NaN, seconds: Infinity };
      for (const rate of rates) {
        const seconds = await secondsToLoss(folder, nats.url, jobOf(rate), false);
        if (seconds < best.seconds) best = { rate, seconds };
      }
      const slow = await secondsToLoss(folder, nats.url, jobOf(best.rate), true);
      for (const [speed, ours] of [['quick', best.seconds] as const, ['slow', slow] as const]) {
        const beside = speed === 'slow' ? 'one of two workers stopped 3/4 of the time' : 'two workers';
        const name = `to a loss of ${targetLoss} a word, ${beside}: ${mode}, rate ${best.rate}`;
        const peer = peers[speed];
        yield { name, ours, peer, ratio: peer === null ? null : ours / peer, target: null, unit: 's', command };
        peers[speed] ??= ours;
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** From the first step to the evaluation that reached the loss; NaN when none did. */
async function secondsToLoss(folder: string, nats: string, job: JobInput, isSlow: boolean): Promise<number> {
  const own = mkdtempSync(join(folder, 'run-'));
  mkdirSync(own, { recursive: true });
  symlinkSync(join(folder, 'data'), join(own, 'data'));
  await using cluster = new HandStartedCluster(own, nats, job);
  cluster.begin();
  await cluster.isThere();
  cluster.worker('steady');
  const other = cluster.worker('other');
  // Both have compiled, and first steps are the same for all.
  await cluster.joined('other');
  const began = cluster.steps.at(-1)?.at ?? Date.now();
  using _slow = isSlow ? slowDown(() => other.pid) : null;
  for (const until = Date.now() + patienceMs; Date.now() < until;) {
    await delay(50);
    const evaluations = cluster.lines.filter(({ type, at }) => type === 'evaluation' && at > began);
    const reached = evaluations.find(({ lossPerWord }) => lossPerWord <= targetLoss);
    if (reached === undefined) continue;
    if (process.env['SHOWTELL_BENCH_VERBOSE'] === '1')
      for (const { step, lossPerWord, at } of evaluations) console.error({ step, lossPerWord, s: (at - began) / 1000 });
    return (reached.at - began) / 1000;
  }
  return NaN;
}

/** Stops a process again and again. */
function slowDown(pidOf: () => number | undefined): Disposable {
  let isOver = false;
  const signal = (name: NodeJS.Signals): void => {
    const pid = pidOf();
    if (pid !== undefined) process.kill(pid, name);
  };
  const work = async (): Promise<void> => {
    while (!isOver) {
      signal('SIGSTOP');
      await delay(standsMs);
      signal('SIGCONT');
      await delay(runsMs);
    }
  };
  void work().catch(() => undefined);
  return {
    [Symbol.dispose]: () => {
      isOver = true;
    },
  };
}
