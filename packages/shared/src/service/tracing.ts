import type { Logger } from './log.js';

/** W3C trace context as messages and calls carry it: `traceparent`, perhaps `tracestate`; empty when nothing is traced. */
export type TraceCarrier = Readonly<Record<string, string>>;

/** What a span says of itself; undefined is left out. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly attributes?: SpanAttributes;
  /** `producer` and `consumer` of a message, `client` and `server` of a call; work within a process by default. */
  readonly kind?: 'internal' | 'producer' | 'consumer' | 'client' | 'server';
}

/** Work from here to its {@link end}. */
export interface TraceSpan {
  /** For whoever goes on with it elsewhere. */
  readonly carrier: TraceCarrier;
  child(name: string, options?: SpanOptions): TraceSpan;
  set(attributes: SpanAttributes): void;
  /** The first call counts. @param error why it failed, if it did */
  end(attributes?: SpanAttributes, error?: unknown): void;
}

/** Where spans begin. Nothing here throws, and nothing waits for a collector. */
export interface Tracing extends AsyncDisposable {
  /** A span that begins a trace. */
  span(name: string, options?: SpanOptions): TraceSpan;
  /** A span of the trace that a message or a call carried; none where it carried none. */
  continue(carrier: TraceCarrier, name: string, options?: SpanOptions): TraceSpan;
}

const emptyCarrier: TraceCarrier = Object.freeze({});

/** Stands where nothing is traced. */
export const noSpan: TraceSpan = Object.freeze({
  carrier: emptyCarrier,
  child: () => noSpan,
  set: () => undefined,
  end: () => undefined,
});

/** Traces nothing, at the cost of a call. */
export const noTracing: Tracing = Object.freeze({
  span: () => noSpan,
  continue: () => noSpan,
  [Symbol.asyncDispose]: () => Promise.resolve(),
});

/** Does `work` within a span, which has failed if it throws. */
export async function traced<T>(span: TraceSpan, work: () => Promise<T>): Promise<T> {
  try {
    const result = await work();
    span.end();
    return result;
  } catch (error) {
    span.end({}, error);
    throw error;
  }
}

export interface TracingOptions {
  /** `service.name`, unless `OTEL_SERVICE_NAME` says another. */
  readonly service: string;
  /** `service.instance.id` */
  readonly instance?: string;
  readonly log: Logger;
}
