import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import type { ParameterServer } from '@showtell/coordinator/parameter-server/parameter-server.js';
import { exchanging } from './exchange.js';
import type { BenchFigure } from './figure.js';
import { drawScenes, HandStartedCluster, type ToldLine } from './hand-started.js';
import { median } from './median.js';
import type { JobInput } from '@showtell/shared/job/job.js';
import { startTestNats } from '../support/nats-server.js';

const command = 'npm run bench -- --only checkpoint';
const saves = 5;
const quietSteps = 15;
const zeros = '0'.repeat(64);
/** Steps from one save to the next, so that some are without. */
const everySteps = 4;
const computingSaves = 15;
/** So that each save removes one. */
const retention = { keepLast: 1, keepBest: true };

/** im2txt's size, both phases' work: Inception V3 trained at 299 px, two workers with a core each. */
const job = {
  name: 'saving',
  batch: { examples: 8, units: 2, captionLengths: [32] },
  phases: {
    decoderOnly: { steps: 1, learningRate: 0.01, decay: null },
    joint: { steps: 100_000, guard: { maxPerplexityRatio: null }, maxBleuDrop: null },
  },
  evaluation: { everySteps: 1_000_000, perplexityExamples: 8, captionImages: 0, unitExamples: 8, sampleImages: 0 },
  checkpoints: { everySteps, keepLast: 2 },
  engine: { threads: 1 },
} satisfies JobInput;

/** What saving 37,250,560 values costs those who train meanwhile: how long the server's thread is held up, and the steps. */
export async function* benchCheckpoint(): AsyncGenerator<BenchFigure> {
  yield* benchSaving();
  yield* benchSavingWhileComputing();
}

/** Steps of a real run that computes, those during which a checkpoint is written beside the others. */
async function* benchSavingWhileComputing(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    await using nats = await startTestNats();
    await drawScenes(join(folder, 'data'), 64, 299);
    await using cluster = new HandStartedCluster(folder, nats.url, job);
    cluster.begin();
    await cluster.isThere();
    for (const id of ['a', 'b']) cluster.worker(id);
    for (const id of ['a', 'b']) await cluster.joined(id);
    // The first ones compile.
    await cluster.further(everySteps);
    const from = cluster.lines.length;
    await cluster.further(computingSaves * everySteps);
    const { quiet, saving, seconds } = bySaving(cluster.lines.slice(from));
    const [ours, peer] = [median(saving), median(quiet)];
    const name = 'a computing step while saving; peer: else';
    yield { name, ours, peer, ratio: ours / peer, target: 1.05, unit: 'ms', command };
    yield { name: 'saving, computing beside it', ours: median(seconds), peer: null, ratio: null, target: null, unit: 's', command }; // prettier-ignore
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** ms of the steps that overlapped a save and of those that did not, and each save's seconds. */
function bySaving(lines: readonly ToldLine[]): { quiet: number[]; saving: number[]; seconds: number[] } {
  const saves = lines
    .filter(({ type }) => type === 'checkpoint')
    .map(({ step, seconds }) => {
      const from = lines.find((line) => line.type === 'step' && line.step === step)?.at ?? NaN;
      return { from, to: from + seconds * 1000, seconds };
    })
    .filter(({ from }) => Number.isFinite(from));
  const [quiet, saving]: [number[], number[]] = [[], []];
  lines
    .filter(({ type }) => type === 'step')
    .forEach(({ at, seconds }) => {
      const began = at - seconds * 1000;
      const overlaps = saves.some((save) => save.from < at && save.to > began);
      (overlaps ? saving : quiet).push(seconds * 1000);
    });
  return { quiet, saving, seconds: saves.map(({ seconds }) => seconds) };
}

async function* benchSaving(): AsyncGenerator<BenchFigure> {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  try {
    const { blocked, quiet, saving, seconds } = await exchanging(
      { wire: 'float32', sharedMemory: true },
      async ({ server, take }) => {
        await using store = CheckpointStore.open(join(folder, 'checkpoints'), { retention });
        let step = 0;
        for (; step < 3; step++) await take(step);
        const blocked: number[] = [];
        for (let i = 0; i < saves; i++) {
          using delays = monitoredDelay();
          await save(store, server, i);
          blocked.push(delays.longestMs);
        }
        const [quiet, saving, seconds]: [number[], number[], number[]] = [[], [], []];
        for (let i = 0; i < saves; i++) {
          for (let j = 0; j < quietSteps / saves; j++) quiet.push(await take(step++));
          const began = performance.now();
          const state = { isSaving: true };
          const saved = save(store, server, saves + i).then(() => {
            state.isSaving = false;
            seconds.push((performance.now() - began) / 1000);
          });
          while (state.isSaving) saving.push(await take(step++));
          await saved;
        }
        return { blocked, quiet, saving, seconds };
      },
    );
    const [ours, peer] = [median(saving), median(quiet)];
    const alone = { peer: null, ratio: null, command } as const;
    yield {
      ...alone,
      name: 'a checkpoint of 37 M values: its thread held up',
      ours: median(blocked),
      target: 5,
      unit: 'ms',
    };
    yield {
      name: 'exchange of a step while saving; peer: else',
      ours,
      peer,
      ratio: ours / peer,
      target: 1.05,
      unit: 'ms',
      command,
    };
    yield { ...alone, name: 'saving, steps beside it', ours: median(seconds), target: null, unit: 's' };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** How long a timer of 1 ms came late at the most. */
function monitoredDelay(): Disposable & { readonly longestMs: number } {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  return {
    get longestMs() {
      return histogram.max / 1e6;
    },
    [Symbol.dispose]: () => histogram.disable(),
  };
}

/** As the coordinator saves: the version is held until it is written. */
async function save(store: CheckpointStore, server: ParameterServer, step: number): Promise<void> {
  const version = server.pinVersion(server.version.id ?? { generation: 0, lineage: 0, step: 0 });
  try {
    await store.save({
      about: {
        ...{ run: 'bench', step, phase: 'joint', switchedAt: 0, phaseHistory: [{ phase: 'joint', fromStep: 0 }] },
        ...{ lineage: 0, generation: 1, examples: step, job: {}, jobSha256: zeros, datasetDigest: zeros },
        ...{ vocabularySha256: zeros, canaries: {}, metrics: { bleu4: null } },
      },
      layout: server.layout,
      parameters: version.parameters,
      optimizer: version.optimizer,
    });
  } finally {
    version.release();
  }
}
