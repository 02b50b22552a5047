import { CheckpointStore } from './checkpoints/checkpoint-store.js';
import { finishOf, Journal } from './journal.js';
import { totalSteps } from './phases/switch.js';
import type { RunFolder } from './run-folder.js';
import type { RunStatus } from './status.js';

/** What a run's folder says of it while nobody trains it. */
export function statusOfStopped(folder: RunFolder): RunStatus {
  const { run } = folder.identity();
  const entries = Journal.read(folder.at('journal.jsonl'));
  const newest = CheckpointStore.read(folder.at('checkpoints'))
    .list()
    .findLast((checkpoint) => checkpoint.manifest !== null);
  const manifest = newest?.manifest ?? null;
  const evaluation = entries.findLast((entry) => entry.type === 'evaluation');
  const finish = finishOf(entries);
  const state = {
    step: finish?.step ?? manifest?.step ?? 0,
    phase: finish?.phase ?? manifest?.phase ?? 'decoder-only',
    switchedAt: manifest?.switchedAt ?? null,
  } as const;
  return {
    run,
    state: finish === null ? 'not running' : 'finished',
    generation: folder.newestGeneration(),
    lineage: manifest?.lineage ?? 1,
    ...state,
    totalSteps: totalSteps(folder.job(), state),
    loss: null,
    learningRate: null,
    imagesPerSecond: null,
    etaSeconds: null,
    anatomy: null,
    evaluation: evaluation === undefined ? null : { step: evaluation.step, scores: evaluation.scores },
    checkpointStep: manifest?.step ?? null,
    workers: [],
  };
}
