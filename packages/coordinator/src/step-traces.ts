import type { Lane } from '@showtell/shared/bus/unit-queue.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import {
  noSpan,
  noTracing,
  type SpanAttributes,
  type TraceSpan,
  type Tracing,
} from '@showtell/shared/service/tracing.js';

type Place = Pick<UnitId, 'lineage' | 'step' | 'evaluation'>;

/**
 * The traces of a run: one a step, from its first unit offered to its version, and one an evaluation, to its scores. With
 * look-ahead a step's units are offered while those before are taken; the span `turn` is the step's own time, which
 * metrics call its duration.
 */
export class StepTraces {
  readonly #open = new Map<string, TraceSpan>();

  constructor(
    readonly tracing: Tracing = noTracing,
    private readonly about: { readonly run: string; readonly generation: number } = { run: '', generation: 0 },
  ) {}

  /** One unit on its way to the broker; its worker goes on from there. */
  offer(id: UnitId, lane: Lane): TraceSpan {
    const attributes = { 'showtell.unit': id.index, 'showtell.attempt': id.attempt, 'showtell.lane': lane };
    return this.#root(id).child('offer', { kind: 'producer', attributes });
  }

  /** The parameter server makes the next version. */
  turn(step: number, lineage: number, phase: PhaseName): TraceSpan {
    const root = this.#root({ step, lineage, evaluation: false });
    root.set({ 'showtell.phase': phase });
    return root.child('turn', { attributes: { 'showtell.step': step, 'showtell.phase': phase } });
  }

  /** A version is being evaluated. */
  evaluation(step: number, lineage: number): TraceSpan {
    return this.#root({ step, lineage, evaluation: true });
  }

  /** A version is being saved, beside the training. */
  checkpoint(step: number, phase: PhaseName): TraceSpan {
    return this.tracing.span('checkpoint', { attributes: this.#attributes({ step, phase }) });
  }

  /** A step has its version, or an evaluation its scores. */
  finish(place: Place, attributes: SpanAttributes = {}): void {
    const key = keyOf(place);
    this.#open.get(key)?.end(attributes);
    this.#open.delete(key);
  }

  /** The run ends, or goes back: what was offered comes to nothing. */
  abandon(): void {
    for (const span of this.#open.values()) span.end({ 'showtell.abandoned': true });
    this.#open.clear();
  }

  #root(place: Place): TraceSpan {
    if (this.tracing === noTracing) return noSpan;
    const key = keyOf(place);
    const known = this.#open.get(key);
    if (known !== undefined) return known;
    const { step, lineage, evaluation } = place;
    const attributes = { ...this.#attributes({ step }), 'showtell.lineage': lineage };
    const span = this.tracing.span(evaluation ? 'evaluation' : 'step', { attributes });
    this.#open.set(key, span);
    return span;
  }

  #attributes({ step, phase }: { readonly step: number; readonly phase?: PhaseName }): SpanAttributes {
    const { run, generation } = this.about;
    return {
      ...{ 'showtell.run': run, 'showtell.generation': generation },
      ...{ 'showtell.step': step, 'showtell.phase': phase },
    };
  }
}

function keyOf({ lineage, step, evaluation }: Place): string {
  return `${lineage}/${step}/${evaluation ? 'e' : 's'}`;
}
