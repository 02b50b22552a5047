import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '@showtell/shared/data/dataset.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import { CheckpointStore } from '../checkpoints/checkpoint-store.js';
import { finishOf, Journal } from '../journal.js';
import type { RunFolder } from '../run-folder.js';
import { readAccount } from '../step-account.js';
import { unigramLoss } from './evaluation.js';
import type { ReportData, ReportEvaluation, ReportPhase, ReportPicture } from './report-data.js';
import { listEvaluations, loadEvaluation, type SavedEvaluation } from './samples.js';

/** Points that a loss curve is thinned to; each is the mean of a stretch of steps. */
const curvePoints = 400;

/**
 * What a run's folder tells of it, for the report.
 *
 * @param shownFolder the folder as a person typed it
 */
export async function reportOf(folder: RunFolder, shownFolder: string, dataset: Dataset): Promise<ReportData> {
  const { run, jobSha256 } = folder.identity();
  const job = folder.job();
  const journal = Journal.read(folder.at('journal.jsonl'));
  const finished = finishOf(journal);
  const rollback = journal.findLast((entry) => entry.type === 'rollback');
  const newest = CheckpointStore.read(folder.at('checkpoints')).list().at(-1)?.manifest ?? null;
  const steps = await stepsOf(folder.at('steps.jsonl'));
  const evaluations: ReportEvaluation[] = [];
  for (const entry of journal) {
    if (entry.type !== 'evaluation') continue;
    const { captions, perplexity } = entry.scores;
    const [bleu1 = null, , , bleu4 = null] = captions?.bleu ?? [];
    const { colorAccuracy = null, novelty = null } = captions ?? {};
    evaluations.push({ step: entry.step, phase: entry.phase, perplexity, bleu1, bleu4, colorAccuracy, novelty });
  }
  const parameters = newest?.parameters;
  return {
    run: job.name,
    folder: shownFolder,
    outcome: finished?.outcome ?? 'stopped',
    reason: finished === null || finished.outcome === 'complete' ? null : finished.reason,
    finished: new Date().toISOString(),
    steps: newest?.step ?? steps.count,
    phases: steps.phases,
    facts: [
      { name: 'run', value: run },
      {
        name: 'encoder',
        value: `${job.model.encoder.name}, depth ${job.model.encoder.depthMultiplier}, ${job.model.encoder.imageSize} px`,
      },
      { name: 'decoder', value: `LSTM ${job.model.decoder.units}, ${dataset.vocabulary.size} words` },
      { name: 'parameters', value: parameters?.count.toLocaleString('en-US') ?? '–' },
      { name: 'batch', value: `${job.batch.examples} pairs in ${job.batch.units} units` },
      {
        name: 'data',
        value: `${dataset.split('train').count.toLocaleString('en-US')} training pairs, ${dataset.split('val').images} held-out pictures`,
      },
      { name: 'workers', value: String(steps.workers.size) },
      ...(rollback === undefined
        ? []
        : [{ name: 'rolled back', value: `from step ${rollback.atStep} to ${rollback.toStep}` }]),
      { name: 'job SHA-256', value: jobSha256, mono: true },
      { name: 'parameters SHA-256', value: parameters?.sha256 ?? '–', mono: true },
    ],
    seconds: steps.seconds,
    losses: thin(steps.losses),
    evaluations,
    baselinePerplexity: Math.exp(await unigramLoss(dataset)),
    pictures: await picturesOf(folder, job.evaluation.sampleImages, evaluations),
    next: [
      {
        what: 'caption a picture of your own',
        command: `npx showtell caption --checkpoint ${shownFolder} PICTURE.jpg`,
      },
      { what: 'list the checkpoints', command: `npx showtell checkpoint list ${shownFolder}` },
      ...(finished === null ? [{ what: 'go on', command: `npx showtell train --run ${shownFolder} --resume` }] : []),
    ],
  };
}

interface Steps {
  count: number;
  seconds: number;
  readonly phases: ReportPhase[];
  readonly losses: { step: number; loss: number }[];
  readonly workers: Set<string>;
}

async function stepsOf(file: string): Promise<Steps> {
  const steps: Steps = { count: 0, seconds: 0, phases: [], losses: [], workers: new Set() };
  for await (const { step, phase, loss, seconds, units } of readAccount(file)) {
    steps.count = step + 1;
    steps.seconds += seconds;
    steps.losses.push({ step: step + 1, loss });
    for (const unit of units) steps.workers.add(unit.worker);
    const last = steps.phases.at(-1);
    if (last?.phase === phase) steps.phases[steps.phases.length - 1] = { ...last, to: step + 1 };
    else steps.phases.push({ phase, from: step, to: step + 1 });
  }
  return steps;
}

function thin(losses: readonly { step: number; loss: number }[]): { step: number; loss: number }[] {
  const stretch = Math.max(1, Math.ceil(losses.length / curvePoints));
  return Array.from({ length: Math.ceil(losses.length / stretch) }, (_, i) => {
    const part = losses.slice(i * stretch, (i + 1) * stretch);
    return { step: part.at(-1)?.step ?? 0, loss: part.reduce((sum, { loss }) => sum + loss, 0) / part.length };
  });
}

/** The first held-out pictures, with what the version before training and the last of each phase said of them. */
async function picturesOf(
  folder: RunFolder,
  count: number,
  evaluations: readonly ReportEvaluation[],
): Promise<ReportPicture[]> {
  const directory = folder.at('evaluations');
  const kept = await listEvaluations(directory);
  const lastOf = (phase: PhaseName): number | undefined =>
    evaluations.findLast((evaluation) => evaluation.phase === phase && evaluation.step > 0)?.step;
  const marks: { when: string; saved: SavedEvaluation }[] = [];
  for (const [when, step] of [
    ['before training', 0],
    ['after decoder-only', lastOf('decoder-only')],
    ['after joint', lastOf('joint')],
  ] as const)
    if (step !== undefined && kept.includes(step)) marks.push({ when, saved: await loadEvaluation(directory, step) });
  const last = marks.at(-1)?.saved;
  if (last === undefined) return [];
  const pictures: ReportPicture[] = [];
  for (const { image_id: imageId, image, references } of last.captions.slice(0, count)) {
    if (image === null) continue;
    pictures.push({
      imageId,
      jpeg: await readFile(join(directory, image)),
      references,
      captions: marks.flatMap(({ when, saved }) => {
        const found = saved.captions.find((caption) => caption.image_id === imageId);
        return found === undefined
          ? []
          : [{ when, caption: found.caption, logprob: found.captions[0]?.logprob ?? null }];
      }),
    });
  }
  return pictures;
}
