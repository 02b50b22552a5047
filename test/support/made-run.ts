import { mkdirSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { EvaluationScores } from '@showtell/coordinator/evaluation/evaluation.js';
import type { SavedCaption } from '@showtell/coordinator/evaluation/samples.js';
import { Journal } from '@showtell/coordinator/journal.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import type { AccountedStep } from '@showtell/coordinator/step-account.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import sharp from 'sharp';

export interface MadeRun {
  readonly steps: number;
  readonly everySteps: number;
  /** Another one gives other curves. */
  readonly seed?: number;
}

/** A run's folder as a long run leaves it, without the hours: account, journal and evaluations in their real form. */
export async function makeRun(path: string, { steps, everySteps, seed = 1 }: MadeRun): Promise<RunFolder> {
  const folder = new RunFolder(path);
  const half = Math.floor(steps / 2);
  const job = parseJob({
    name: basename(path),
    phases: { decoderOnly: { steps: half }, joint: { steps: steps - half } },
    evaluation: { everySteps },
  });
  const hash = 'a'.repeat(64);
  const digests = { jobSha256: hash, datasetDigest: hash, vocabularySha256: hash, encoderWeightsSha256: null };
  folder.begin(
    { run: `${job.name}-made`, created: '2026-01-01T08:00:00.000Z', version: '0', ...digests, forkedFrom: null },
    job,
  );
  const lines: string[] = [];
  for (let step = 0; step < steps; step++) lines.push(JSON.stringify(stepOf(step, step >= half, seed)));
  writeFileSync(folder.at('steps.jsonl'), `${lines.join('\n')}\n`);
  using journal = Journal.open(folder.at('journal.jsonl'), () => undefined);
  journal.append({ type: 'generation', generation: 1, fromStep: null });
  mkdirSync(folder.at('evaluations', 'images'), { recursive: true });
  for (let id = 1; id <= 6; id++) {
    const background = { r: 40 * id, g: 200 - 20 * id, b: 90 };
    const picture = sharp({ create: { width: 96, height: 96, channels: 3, background } });
    writeFileSync(folder.at('evaluations', 'images', `${id}.jpg`), await picture.jpeg().toBuffer());
  }
  for (let step = 0; step <= steps; step += everySteps) {
    const phase = step > half ? 'joint' : 'decoder-only';
    const scores = scoresAt(step / steps, seed);
    journal.append({ type: 'evaluation', step, lineage: 1, phase, scores });
    const at = folder.at('evaluations', String(step).padStart(8, '0'));
    mkdirSync(at);
    writeFileSync(`${at}/scores.json`, JSON.stringify({ step, phase, lineage: 1, scores }));
    writeFileSync(
      `${at}/captions.json`,
      JSON.stringify(Array.from({ length: 6 }, (_, i) => captionOf(i + 1, step, steps))),
    );
    if (step === half)
      journal.append({ type: 'switch', step, lineage: 1, reason: `${half} decoder-only steps are done` });
  }
  journal.append({ type: 'finished', step: steps, phase: 'joint', outcome: 'complete', reason: 'all steps are done' });
  return folder;
}

function stepOf(step: number, isJoint: boolean, seed: number): AccountedStep {
  const jitter = Math.abs(Math.sin(step * 12.9898 * seed)) % 1;
  const seconds = (isJoint ? 0.4 : 0.1) * (1 + 0.2 * jitter) + (step % 997 === 0 ? 3 : 0);
  return {
    step,
    generation: 1,
    lineage: 1,
    phase: isJoint ? 'joint' : 'decoder-only',
    loss: 0.3 * seed + 5 / (1 + step / 400) + 0.2 * jitter,
    gradientNorm: 1 + jitter,
    learningRate: 0.2,
    seconds,
    parts: {
      data: seconds * 0.1,
      compute: seconds * 0.6,
      exchange: seconds * 0.1,
      update: seconds * 0.05,
      wait: seconds * 0.15,
    },
    at: 1_767_254_400_000 + step * 100,
    units: [0, 1, 2, 3].map((index) => ({ index, worker: `worker-${(index % 2) + 1}`, attempt: 1, examples: 8 })),
  };
}

function scoresAt(share: number, seed: number): EvaluationScores {
  const bleu = [0.8, 0.65, 0.5, 0.4].map((best) => best * Math.min(1, 0.1 + share * (1 + 0.1 * seed))) as [
    number,
    number,
    number,
    number,
  ];
  const captions = {
    images: 6,
    bleu,
    rougeL: bleu[1],
    cider: bleu[3] * 4,
    novelty: 0.4,
    colorAccuracy: Math.min(1, 0.2 + share),
  };
  const perplexity = 2 + 200 / (1 + share * 300 * seed);
  return { lossPerWord: Math.log(perplexity), words: 100, perplexity, captions };
}

function captionOf(id: number, step: number, steps: number): SavedCaption {
  const words = `a picture at step ${step}`.split(' ');
  const sure = Math.min(0.95, 0.1 + step / steps);
  const probabilities = [...words, ''].map((_, i) => Math.max(0.05, sure - i * 0.12));
  const captions = [{ caption: words.join(' '), logprob: -1.5, probabilities }];
  return { image_id: id, caption: words.join(' '), captions, references: ['A picture.'], image: `images/${id}.jpg` };
}
