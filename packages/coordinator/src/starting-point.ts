import { evaluationsOf } from './evaluation/evaluations-of.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { openWindow } from '@showtell/shared/job/asynchronous.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Segments } from '@showtell/shared/tensors/layout.js';
import type { Canaries } from './canaries.js';
import type { CheckpointStore } from './checkpoints/checkpoint-store.js';
import { readCheckpoint, type ReadCheckpoint } from './checkpoints/read-checkpoint.js';
import type { Journal } from './journal.js';
import { firstValues, type ModelParameters } from './model-parameters.js';
import type { OptimizerState } from './parameter-server/optimizer.js';
import type { ParameterServer } from './parameter-server/parameter-server.js';
import type { RunIdentity } from './run-folder.js';
import type { RunState } from './run.js';
import type { StepAccount } from './step-account.js';

/** What a run goes on from. */
export interface StartingPoint {
  readonly state: RunState;
  readonly parameters: Segments;
  /** null, or another optimizer's, which a fork may have left behind: the job's own begins anew. */
  readonly optimizer: OptimizerState | null;
  /** It comes from a checkpoint of this very run. */
  readonly resumed: boolean;
}

export interface StartingOptions {
  readonly job: Job;
  readonly identity: RunIdentity;
  readonly journal: Journal;
  readonly checkpoints: CheckpointStore;
  readonly parameters: ModelParameters;
  readonly log: Logger;
}

/**
 * State is (checkpoint, journal): the newest sound checkpoint of the lineage that the journal says is current, else the
 * other run's checkpoint that this one was forked from, else the first values.
 *
 * @throws ShowtellError `checkpoint/none-sound`; `checkpoint/missing`, `checkpoint/damaged`, `checkpoint/other-vocabulary`,
 * `parameters/state-mismatch` of a fork's origin.
 */
export async function startingPoint(options: StartingOptions): Promise<StartingPoint> {
  const { journal, checkpoints, parameters, log } = options;
  const rollback = journal.of('rollback').at(-1);
  if (rollback !== undefined) checkpoints.removeAfter(rollback.toStep);
  const found = await checkpoints.newestSound(parameters.layout);
  if (found !== null) {
    log.info('going on from a checkpoint', { step: found.manifest.step, path: found.path });
    return { ...contentOf(found, lineageOf(journal), rollback ?? null), resumed: true };
  }
  // Steps that were taken are not taken again behind anyone's back.
  const damaged = checkpoints.list().map(({ path }) => path);
  if (damaged.length > 0)
    throw new ShowtellError('checkpoint/none-sound', { directory: checkpoints.directory, damaged });
  const begin = await beginning(options);
  if (begin.optimizer !== null && begin.optimizer.name !== options.job.optimizer.name)
    log.info('the optimizer begins anew', { from: begin.optimizer.name, to: options.job.optimizer.name });
  log.info('beginning', { step: begin.state.step, from: options.identity.forkedFrom ?? 'first values' });
  return { ...begin, resumed: false };
}

/**
 * Where a run begins: at the checkpoint of another one that it was forked from, else with first values.
 *
 * @throws ShowtellError `checkpoint/missing`, `checkpoint/damaged`, `checkpoint/other-vocabulary`, `parameters/state-mismatch`
 */
async function beginning({
  job,
  identity,
  journal,
  parameters,
}: Pick<StartingOptions, 'job' | 'identity' | 'journal' | 'parameters'>): Promise<Omit<StartingPoint, 'resumed'>> {
  const lineage = lineageOf(journal);
  const rolledBack = journal.of('rollback').at(-1) ?? null;
  const { forkedFrom, vocabularySha256 } = identity;
  if (forkedFrom === null) {
    const first = { step: 0, examples: 0, phase: 'decoder-only', switchedAt: null, missing: [] } as const;
    const state = { ...first, lineage, rolledBack };
    return { state, parameters: firstValues(job, parameters), optimizer: null };
  }
  const origin = await readCheckpoint(forkedFrom, parameters.layout);
  if (origin.manifest.vocabularySha256 !== vocabularySha256)
    throw new ShowtellError('checkpoint/other-vocabulary', { path: forkedFrom, directory: job.data.directory ?? '' });
  const begin = contentOf(origin, lineage, rolledBack);
  return keepsOpenUnits(job, begin.state) ? begin : { ...begin, state: { ...begin.state, missing: [] } };
}

/**
 * Whether units that an asynchronous origin had still open are the fork's to apply: they mean nothing to a plan that goes step
 * by step, and where fewer may be open no worker would compute one from that far back.
 */
function keepsOpenUnits({ asynchronous }: Job, { step, missing: [first = step] }: RunState): boolean {
  return asynchronous !== null && step <= first + openWindow(asynchronous);
}

/** 1, and one more for each rollback. */
function lineageOf(journal: Journal): number {
  return journal.of('rollback').at(-1)?.lineage ?? 1;
}

function contentOf(
  { manifest, parameters, optimizer }: ReadCheckpoint,
  lineage: number,
  rolledBack: RunState['rolledBack'],
): Omit<StartingPoint, 'resumed'> {
  const { step, phase, switchedAt, examples, missing = [] } = manifest;
  return { state: { step, phase, switchedAt, examples, missing, lineage, rolledBack }, parameters, optimizer };
}

/** What saving and restoring need of a run. */
export interface CheckpointContext {
  readonly job: Job;
  readonly identity: RunIdentity;
  readonly generation: number;
  readonly journal: Journal;
  readonly checkpoints: CheckpointStore;
  readonly parameters: ModelParameters;
  readonly canaries: Canaries;
  readonly server: ParameterServer;
  readonly account: Pick<StepAccount, 'flush'>;
  readonly assertCurrent: () => void;
}

/** A checkpoint on disk. */
export interface SavedCheckpoint {
  /** Its folder. */
  readonly path: string;
  /** Of its files. */
  readonly bytes: number;
  /** That writing it took. */
  readonly seconds: number;
}

/**
 * Saves the server's current version, which must be the state's; training may go on meanwhile.
 *
 * @throws ShowtellError `checkpoint/write-failed`, `run/superseded`
 */
export async function saveCheckpoint(
  context: CheckpointContext,
  state: RunState,
  pinned: boolean,
): Promise<SavedCheckpoint> {
  const { job, identity, journal, checkpoints, parameters, canaries, server } = context;
  context.assertCurrent();
  const version = server.pin();
  const began = performance.now();
  try {
    const { parameters: values, optimizer } = await version.read();
    const { step, phase, switchedAt, lineage, examples, missing } = state;
    // Only the version is the saving's; steps that follow meanwhile may be noted with it.
    await context.account.flush();
    if (version.step !== step) throw new Error(`version ${version.step} is current where ${step} is to be saved`);
    const evaluations = evaluationsOf(journal, job);
    const scores = evaluations.find((entry) => entry.step === step && entry.lineage === lineage)?.scores;
    const joint = switchedAt === null ? [] : [{ phase: 'joint' as const, fromStep: switchedAt }];
    const { path, manifest } = await checkpoints.save({
      about: {
        run: identity.run,
        step,
        phase,
        switchedAt,
        phaseHistory: [{ phase: 'decoder-only', fromStep: 0 }, ...joint],
        lineage,
        generation: context.generation,
        examples,
        ...(missing.length === 0 ? {} : { missing: [...missing] }),
        job,
        jobSha256: identity.jobSha256,
        datasetDigest: identity.datasetDigest,
        vocabularySha256: identity.vocabularySha256,
        canaries: Object.fromEntries(canaries.known),
        metrics: {
          lossPerWord: scores?.lossPerWord ?? null,
          perplexity: scores?.perplexity ?? null,
          bleu4: scores?.captions?.bleu[3] ?? null,
          cider: scores?.captions?.cider ?? null,
          colorAccuracy: scores?.captions?.colorAccuracy ?? null,
        },
      },
      layout: parameters.layout,
      parameters: values,
      optimizer,
      pinned,
    });
    const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
    return { path, bytes, seconds: (performance.now() - began) / 1000 };
  } finally {
    version.release();
  }
}

/**
 * Goes back to `toStep`, decoder-only, in the lineage that the journalled rollback began: to its checkpoint, or where
 * that is damaged to the newest sound one before it, or to the run's beginning; the steps from there are taken again.
 *
 * @throws ShowtellError `checkpoint/none-sound` when the run is a fork whose origin is not to be had either
 */
export async function restoreAtMost(context: CheckpointContext, toStep: number): Promise<RunState> {
  const { journal, checkpoints, parameters, server } = context;
  checkpoints.removeAfter(toStep);
  const found = await checkpoints.newestSound(parameters.layout, toStep);
  const rolledBack = journal.of('rollback').at(-1) ?? null;
  const begin =
    found === null ? await beginningBefore(context, toStep) : contentOf(found, lineageOf(journal), rolledBack);
  const state: RunState = { ...begin.state, phase: 'decoder-only', switchedAt: null };
  await server.rewind({ ...state, parameters: begin.parameters, optimizer: begin.optimizer });
  return state;
}

/** The run's beginning, to take the steps up to `toStep` again when no checkpoint of its own is sound. */
async function beginningBefore(context: CheckpointContext, toStep: number): Promise<Omit<StartingPoint, 'resumed'>> {
  const { identity, checkpoints } = context;
  const lost = (origin: string, cause?: unknown): ShowtellError => {
    const damaged = [...checkpoints.list().map(({ path }) => path), origin];
    return new ShowtellError('checkpoint/none-sound', { directory: checkpoints.directory, damaged }, { cause });
  };
  try {
    const begin = await beginning(context);
    if (begin.state.step <= toStep) return begin;
  } catch (error) {
    if (!(error instanceof ShowtellError) || identity.forkedFrom === null) throw error;
    throw lost(`${identity.forkedFrom}, which the run was forked from: ${error.message}`, error);
  }
  throw lost(`${identity.forkedFrom ?? ''}, which the run was forked from, lies after step ${toStep}`);
}
