import { AppliedUnits } from '@showtell/coordinator/parameter-server/applied-units.js';
import { GradientRound } from '@showtell/coordinator/parameter-server/gradient-round.js';
import { judge as realJudge, type HeaderVerdict } from '@showtell/coordinator/parameter-server/verdict.js';
import type { GradientHeader, VersionId } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { Violation } from './violation.js';

/**
 * A version's value: what was added to the first values, in order. Equal strings are equal bits, as the sum is over a
 * fixed tree.
 */
export type Value = string;

interface Current {
  readonly lineage: number;
  readonly step: number;
  readonly value: Value;
  readonly missing?: readonly number[];
}

/** A gradient with what it really is: the value it was computed on. */
export interface Gradient {
  readonly header: GradientHeader;
  readonly computedOn: Value;
}

/** The parameter server's decisions without its arithmetic: the real verdicts and the real round of a step. */
export class Server {
  private round: GradientRound;
  private applied: AppliedUnits;
  /** Where each unit is applied as it comes: none from this one on has been offered. */
  openUntil = 0;

  constructor(
    readonly generation: number,
    private readonly units: number,
    private readonly maxStaleness: number | null,
    private current: Current,
    private readonly judge: typeof realJudge,
  ) {
    this.applied = new AppliedUnits(current.step, current.missing ?? []);
    this.round = new GradientRound(units);
  }

  get version(): VersionId {
    const { lineage, step } = this.current;
    return { generation: this.generation, lineage, step };
  }

  get missing(): readonly number[] {
    return this.maxStaleness === null ? [] : this.applied.missing;
  }

  get value(): Value {
    return this.current.value;
  }

  /** @returns the verdict, and whether the step is complete with it */
  push({ header, computedOn }: Gradient): { readonly verdict: HeaderVerdict; readonly complete: boolean } {
    const { step, lineage } = this.current;
    const { maxStaleness, applied } = this;
    const verdict = this.judge(header, {
      run: 'run',
      generation: this.generation,
      lineage,
      step,
      phase: 'decoder-only',
      units: this.units,
      unitExamples: 1,
      unitTokens: 1,
      wire: 'float32',
      embeddingRows: 0,
      counted: this.round.counted,
      asynchronous: maxStaleness === null ? null : { applied, openUntil: this.openUntil, maxStaleness },
    });
    if (verdict.kind !== 'wanted') return { verdict, complete: false };
    if (maxStaleness === null) this.checkStep(header, computedOn);
    else this.checkUnit(header, computedOn, maxStaleness);
    const complete = this.round.examplesWith(header) !== null;
    this.round.commit(header, 0);
    return { verdict, complete };
  }

  private checkStep({ unit }: GradientHeader, computedOn: Value): void {
    const { step, value } = this.current;
    if (unit?.step !== step) throw new Violation(`a unit of step ${unit?.step ?? '?'} counts in step ${step}`);
    if (computedOn !== value) throw new Violation(`a gradient of "${computedOn}" counts in the step after "${value}"`);
    if (this.round.counted.has(unit.index)) throw new Violation(`unit ${unit.index} of step ${step} counts twice`);
  }

  private checkUnit({ unit, version, worker }: GradientHeader, computedOn: Value, maxStaleness: number): void {
    const { step, value } = this.current;
    const updates = step - (version?.step ?? 0);
    if (!value.startsWith(computedOn) || updates > maxStaleness)
      throw new Violation(`a gradient of "${computedOn}" counts ${updates} updates later, after "${value}"`);
    if (this.applied.has(unit?.step ?? 0)) throw new Violation(`unit ${unit?.step ?? 0} counts twice`);
    this.applied.add(unit?.step ?? 0, { worker, attempt: unit?.attempt ?? 0 });
  }

  /** The round is complete: the next version is current. */
  advance(): void {
    const { step, lineage, value } = this.current;
    if (this.maxStaleness !== null) {
      const [unit] = [...this.round.counted.values()];
      this.current = { lineage, step: step + 1, value: `${value}${lineage}/${unit?.step ?? '?'} ` };
      this.round = new GradientRound(this.units);
      return;
    }
    const counted = [...this.round.counted.keys()].sort();
    if (counted.length !== this.units) throw new Violation(`step ${step} is taken with ${counted.length} units`);
    this.begin({ lineage, step: step + 1, value: `${value}${lineage}/${step}:${counted.join('')} ` });
  }

  /** Another version is current: the next one, or that of a checkpoint under a higher lineage. */
  begin(version: Current): void {
    this.current = version;
    this.applied = new AppliedUnits(version.step, version.missing ?? []);
    this.round = new GradientRound(this.units);
  }

  describe(): string {
    const { lineage, step, value } = this.current;
    if (this.maxStaleness !== null) {
      const by = Array.from({ length: this.applied.next }, (_, unit) => this.applied.by(unit));
      return [lineage, step, value, ...by.map((one) => `${one?.worker ?? ''}${one?.attempt ?? ''}`)].join('/');
    }
    const counted = [...this.round.counted.values()].map(({ index, worker, attempt }) => `${index}${worker}${attempt}`);
    return `${lineage}/${step}/${value}/${counted.sort().join(' ')}`;
  }
}
