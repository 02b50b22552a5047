import { listEvaluations } from '../evaluation/samples.js';
import type { ListedCheckpoint } from '../checkpoints/checkpoint-folders.js';
import { CheckpointStore } from '../checkpoints/checkpoint-store.js';
import { manifestFile } from '../checkpoints/manifest.js';
import { finishOf, Journal, type JournalEntry } from '../journal.js';
import { totalSteps } from '../phases/switch.js';
import type { RunFolder } from '../run-folder.js';
import type { CheckpointRow, EvaluationPoint, RunMoment, Summary } from './page/payload.js';

/** What a run's journal, job and checkpoints tell, its steps aside. @throws ShowtellError `run/missing`, `journal/damaged` */
export async function summarize(folder: RunFolder): Promise<Summary> {
  const identity = folder.identity();
  const job = folder.job();
  const timed = Journal.readTimed(folder.at('journal.jsonl'));
  const entries = timed.map(({ entry }) => entry);
  const checkpoints = CheckpointStore.read(folder.at('checkpoints')).list();
  const kept = new Set(await listEvaluations(folder.at('evaluations')));
  const newest = checkpoints.findLast(({ manifest }) => manifest !== null)?.manifest ?? null;
  const switchedAt = switchOf(entries, newest?.switchedAt ?? null);
  const begin = entries.find((entry) => entry.type === 'generation')?.fromStep ?? 0;
  const finish = finishOf(entries);
  const { encoder, decoder } = job.model;
  return {
    name: job.name,
    run: identity.run,
    created: identity.created,
    firstStep: identity.forkedFrom === null ? 0 : (checkpoints.find(({ pinned }) => pinned)?.step ?? begin),
    totalSteps: totalSteps(job, { step: 0, phase: 'decoder-only', switchedAt }),
    switchedAt,
    plannedSwitch: job.phases.joint.steps === 0 ? null : job.phases.decoderOnly.steps,
    outcome: finish === null ? null : { outcome: finish.outcome, reason: finish.reason },
    evaluations: evaluationsOf(entries, kept),
    checkpoints: checkpoints.map(checkpointRow),
    moments: timed.flatMap(({ at, entry }) => momentOf(at, entry)),
    facts: [
      { name: 'run', value: identity.run },
      { name: 'begun', value: identity.created },
      { name: 'encoder', value: `${encoder.name}, depth ${encoder.depthMultiplier}, ${encoder.imageSize} px` },
      { name: 'decoder', value: `LSTM ${decoder.units}, embedding ${decoder.embedding}` },
      { name: 'batch', value: `${job.batch.examples} pairs in ${job.batch.units} units` },
      { name: 'engine', value: `${job.engine.name}, ${job.engine.precision}` },
      ...(newest === null ? [] : [{ name: 'parameters', value: newest.parameters.count.toLocaleString('en-US') }]),
      ...(identity.forkedFrom === null ? [] : [{ name: 'forked from', value: basename(identity.forkedFrom) }]),
      { name: 'job SHA-256', value: identity.jobSha256 },
    ],
  };
}

/** Where the joint phase began, as long as it was not rolled back. A fork of a joint checkpoint has no entry of its own. */
function switchOf(entries: readonly JournalEntry[], ofCheckpoint: number | null): number | null {
  const last = entries.findLast((entry) => entry.type === 'switch' || entry.type === 'rollback');
  if (last === undefined) return ofCheckpoint;
  return last.type === 'switch' ? last.step : null;
}

/** Those that the present parameters came by: after a rollback none of what came after the step gone back to. */
function evaluationsOf(entries: readonly JournalEntry[], kept: ReadonlySet<number>): EvaluationPoint[] {
  let points: EvaluationPoint[] = [];
  for (const entry of entries) {
    if (entry.type === 'rollback') points = points.filter(({ step }) => step <= entry.toStep);
    if (entry.type !== 'evaluation') continue;
    const { step, phase, scores } = entry;
    const { bleu = null, rougeL = null, cider = null, novelty = null, colorAccuracy = null } = scores.captions ?? {};
    const hasCaptions = kept.has(step);
    points = points.filter((point) => point.step < step);
    points.push({
      step,
      phase,
      perplexity: scores.perplexity,
      bleu,
      rougeL,
      cider,
      novelty,
      colorAccuracy,
      hasCaptions,
    });
  }
  return points;
}

function checkpointRow({ step, pinned, manifest }: ListedCheckpoint): CheckpointRow {
  const { perplexity = null, bleu4 = null, cider = null } = manifest?.metrics ?? {};
  const files = Object.entries(manifest?.files ?? {}).map(([name, { bytes }]) => ({ name, bytes }));
  if (manifest !== null) files.push({ name: manifestFile, bytes: 0 });
  return {
    step,
    phase: manifest?.phase ?? null,
    isDamaged: manifest === null,
    pinned,
    savedAt: manifest?.savedAt ?? null,
    perplexity,
    bleu4,
    cider,
    files,
  };
}

function momentOf(at: string, entry: JournalEntry): RunMoment[] {
  switch (entry.type) {
    case 'generation':
      return entry.fromStep === null
        ? [{ at, step: 0, kind: 'began', text: 'The run began.' }]
        : [{ at, step: entry.fromStep, kind: 'resumed', text: 'The run was resumed from this checkpoint.' }];
    case 'switch':
      return [{ at, step: entry.step, kind: 'switch', text: `The joint phase began: ${entry.reason}.` }];
    case 'switch-refused':
      return [{ at, step: entry.step, kind: 'refused', text: `The joint phase did not begin: ${entry.reason}.` }];
    case 'rollback':
      return [{ at, step: entry.atStep, kind: 'rollback', text: `Back to step ${entry.toStep}: ${entry.reason}.` }];
    case 'command':
      return [{ at, step: entry.step, kind: 'command', text: `A person asked: ${entry.command}.` }];
    case 'finished':
      return [{ at, step: entry.step, kind: 'finished', text: `${entry.outcome}: ${entry.reason}.` }];
    case 'canary':
    case 'evaluation':
    case 'skipped':
    case 'switch-order':
      return [];
    default:
      entry satisfies never;
      return [];
  }
}

/** The folder's own name: where it lies is no page's business. */
function basename(path: string): string {
  return path.split('/').slice(-3).join('/');
}
