import type { PhaseName } from '@showtell/shared/job/phases.js';
import { trainedSegments } from '@showtell/shared/job/phases.js';
import type { GradientHeader, VersionId } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { Phase, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { isSegmentName, type WireDtype, wireTypeOf } from '@showtell/shared/tensors/gradient-body.js';

import type { AppliedBy, AppliedUnits } from './applied-units.js';

/** What the parameter server knows when a gradient is announced. */
export interface Expected {
  readonly run: string;
  readonly generation: number;
  readonly lineage: number;
  readonly step: number;
  /** null while a decision is due. */
  readonly phase: PhaseName | null;
  readonly units: number;
  /** A unit's records: each is an example that counts, or was skipped. */
  readonly unitExamples: number;
  /** Most words that it may count. */
  readonly unitTokens: number;
  readonly wire: WireDtype;
  /** Rows of the embedding. */
  readonly embeddingRows: number;
  /** Worker and attempt of the units counted so far, by index. */
  readonly counted: ReadonlyMap<number, AppliedBy>;
  /** null: synchronous, a step counts what was computed on its own version. */
  readonly asynchronous: AsynchronousBounds | null;
}

/** Where each unit is applied as it comes. */
export interface AsynchronousBounds {
  readonly applied: Pick<AppliedUnits, 'has' | 'by'>;
  /** No unit from this one on has been offered. */
  readonly openUntil: number;
  /** Most updates between the version it was computed with and now. */
  readonly maxStaleness: number;
}

export type HeaderVerdict =
  | { readonly kind: 'wanted' }
  /** The same worker's same attempt was counted before: it asks again because it missed the answer. */
  | { readonly kind: 'accepted' }
  | { readonly kind: 'duplicate' | 'stale' | 'invalid'; readonly detail: string };

/** What is answered to who pushed a gradient. */
export interface PushVerdict {
  readonly verdict: Verdict;
  readonly detail: string;
  /** Whether the unit counts by this very push: who asks again is told the same, and nothing more follows from it. */
  readonly counts: boolean;
}

const verdicts = {
  accepted: Verdict.VERDICT_ACCEPTED,
  duplicate: Verdict.VERDICT_DUPLICATE,
  stale: Verdict.VERDICT_STALE,
  invalid: Verdict.VERDICT_INVALID,
} as const;

export function answer(kind: keyof typeof verdicts, detail: string): PushVerdict {
  return { verdict: verdicts[kind], detail, counts: false };
}

export const counted: PushVerdict = { verdict: Verdict.VERDICT_ACCEPTED, detail: '', counts: true };

export function phaseOf(phase: PhaseName | null): Phase {
  if (phase === null) return Phase.PHASE_UNSPECIFIED;
  return phase === 'joint' ? Phase.PHASE_JOINT : Phase.PHASE_DECODER_ONLY;
}

/** Judges a gradient by its header alone; whether its values are finite is found out while they are summed. */
export function judge(header: GradientHeader, expected: Expected): HeaderVerdict {
  const { unit, version } = header;
  if (unit === undefined || version === undefined) return invalid('the header names no unit or no version');
  if (unit.evaluation) return invalid('an evaluation has no gradient');
  if (unit.run !== expected.run) return stale(`it belongs to run ${unit.run}, this is ${expected.run}`);
  for (const [what, got, now] of [
    ['generation', version.generation, expected.generation],
    ['lineage', version.lineage, expected.lineage],
  ] as const)
    if (got !== now) return stale(`it was computed for ${what} ${got}, now is ${now}`);
  const { asynchronous } = expected;
  const late =
    asynchronous === null
      ? judgeVersion(unit, version, expected)
      : judgeStaleness(header, unit, version, { ...expected, ...asynchronous });
  if (late !== null) return late;
  if (expected.phase === null || header.phase !== phaseOf(expected.phase))
    return stale(`it was computed in another phase than ${expected.phase ?? 'the one to be decided'}`);
  if (unit.index >= expected.units) return invalid(`unit ${unit.index} is not one of the step's ${expected.units}`);
  const counted = asynchronous === null ? expected.counted.get(unit.index) : undefined;
  return counted === undefined ? judgeBody(header, expected, expected.phase) : judgeCounted(header, unit, counted);
}

/** What is wrong with a gradient's version where a step counts what was computed on its own; null: nothing. */
function judgeVersion(unit: UnitId, version: VersionId, { step }: Expected): HeaderVerdict | null {
  if (version.step !== step) return stale(`it was computed for version ${version.step}, now is ${step}`);
  if (unit.generation !== version.generation || unit.lineage !== version.lineage || unit.step !== version.step)
    return stale(`the unit is of step ${unit.step}, its gradient of version ${version.step}`);
  return null;
}

/** What is wrong with it where units are applied as they come. */
function judgeStaleness(
  header: GradientHeader,
  unit: UnitId,
  version: VersionId,
  { step, applied, openUntil, maxStaleness }: Pick<Expected, 'step'> & AsynchronousBounds,
): HeaderVerdict | null {
  if (unit.generation !== version.generation || unit.lineage !== version.lineage)
    return stale('its unit is of another generation or lineage');
  if (applied.has(unit.step)) return judgeCounted(header, unit, applied.by(unit.step));
  if (unit.step >= openUntil) return invalid(`unit ${unit.step} has not been offered`);
  if (version.step > step) return stale(`it was computed for version ${version.step}, now is ${step}`);
  if (step - version.step > maxStaleness)
    return stale(`it was computed ${step - version.step} updates ago, of which ${maxStaleness} are allowed`);
  return null;
}

/** The unit counts already. @param by null where nobody remembers */
function judgeCounted({ worker }: GradientHeader, { attempt }: UnitId, by: AppliedBy | null): HeaderVerdict {
  if (by === null) return { kind: 'duplicate', detail: 'it was applied long ago' };
  return by.worker === worker && by.attempt === attempt
    ? { kind: 'accepted' }
    : { kind: 'duplicate', detail: `${by.worker} was first, with attempt ${by.attempt}` };
}

function judgeBody(header: GradientHeader, expected: Expected, phase: PhaseName): HeaderVerdict {
  const aside = judgeAside(header, expected);
  if (aside !== null) return invalid(aside);
  if (header.examples === 0) return { kind: 'wanted' };
  if (header.wireType !== wireTypeOf(expected.wire)) return invalid(`its values are not ${expected.wire}`);
  const rows = header.embeddingRows;
  const named = new Set(header.segments);
  if (named.size !== header.segments.length || !header.segments.every(isSegmentName))
    return invalid('its segments are none of the model, or one comes twice');
  for (const segment of trainedSegments(phase))
    if (!named.delete(segment) && segment !== 'embedding') return invalid(`segment ${segment} is missing`);
  if (named.size > 0) return invalid(`segment ${[...named].join(', ')} is not trained in phase ${phase}`);
  if (header.segments.includes('embedding') && rows.length > 0)
    return invalid('the embedding comes both whole and as rows');
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    if (row >= expected.embeddingRows) return invalid(`row ${row} is beyond the embedding's ${expected.embeddingRows}`);
    if (i > 0 && row <= (rows[i - 1] ?? 0)) return invalid(`row ${row} does not come after row ${rows[i - 1] ?? 0}`);
  }
  return { kind: 'wanted' };
}

/** What is wrong with what a header says beside its values; null: nothing. Its numbers go into sums and metrics. */
function judgeAside(header: GradientHeader, { unitExamples, unitTokens }: Expected): string | null {
  const { examples, tokens, lossSum, skipped, computeSeconds, dataSeconds } = header;
  if (!Number.isFinite(lossSum)) return `its loss is ${lossSum}`;
  if (tokens > unitTokens) return `${tokens} words counted of at most ${unitTokens}`;
  for (const seconds of [computeSeconds, dataSeconds])
    if (!Number.isFinite(seconds) || seconds < 0) return `a part of it took ${seconds} s`;
  const isRising = skipped.every((at, i) => at > (skipped[i - 1] ?? -1) && at < unitExamples);
  return isRising && examples + skipped.length === unitExamples
    ? null
    : `${examples} examples counted and ${skipped.length} skipped are no ${unitExamples} records`;
}

const invalid = (detail: string): HeaderVerdict => ({ kind: 'invalid', detail });
const stale = (detail: string): HeaderVerdict => ({ kind: 'stale', detail });
