import {
  defaultTextMapGetter,
  defaultTextMapSetter,
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Tracer,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { version } from '../version.js';
import type { Logger } from './log.js';
import {
  noSpan,
  type SpanOptions,
  type TraceCarrier,
  type TraceSpan,
  type Tracing,
  type TracingOptions,
} from './tracing.js';

/** How long the last spans may hold up a process's end. */
const lastMs = 2_000;
/** A collector that is away is told of this often. */
const complainMs = 60_000;

const kinds = {
  internal: SpanKind.INTERNAL,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
  server: SpanKind.SERVER,
} as const;

const propagator = new W3CTraceContextPropagator();

/**
 * Spans by OpenTelemetry's SDK, sent as OTLP over HTTP in JSON. Endpoint, headers, batches, limits and sampling are the
 * SDK's to read from the environment. `tracing.ts` says when it is loaded.
 */
export function openTelemetry(
  { service, instance, log }: TracingOptions,
  env: Readonly<Record<string, string | undefined>>,
): Tracing {
  complainTo(log);
  const protocol = env['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'] ?? env['OTEL_EXPORTER_OTLP_PROTOCOL'] ?? 'http/json';
  if (protocol !== 'http/json') log.warn('spans are sent by http/json, the one protocol there is', { asked: protocol });
  const own = resourceFromAttributes({
    'service.name': service,
    'service.version': version,
    ...(instance === undefined ? {} : { 'service.instance.id': instance }),
  });
  const provider = new BasicTracerProvider({
    resource: own.merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter(timeoutFrom(env)))],
  });
  const tracer = provider.getTracer('showtell', version);
  return {
    span: (name, options) => begin(tracer, name, ROOT_CONTEXT, options),
    continue: (carrier, name, options) => {
      const context = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
      return trace.getSpanContext(context) === undefined ? noSpan : begin(tracer, name, context, options);
    },
    async [Symbol.asyncDispose]() {
      const late = new Promise<void>((resolve) => setTimeout(resolve, lastMs).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
    },
  };
}

/**
 * An export under way, with all that is tried again, keeps a process from ending: the SDK's ten seconds are long where
 * nobody listens.
 */
function timeoutFrom(env: Readonly<Record<string, string | undefined>>): { timeoutMillis?: number } {
  const asked = env['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT'] ?? env['OTEL_EXPORTER_OTLP_TIMEOUT'];
  return asked === undefined ? { timeoutMillis: lastMs } : {};
}

function begin(tracer: Tracer, name: string, within: Context, options: SpanOptions = {}): TraceSpan {
  const { kind = 'internal', attributes = {} } = options;
  const span = tracer.startSpan(name, { kind: kinds[kind], attributes }, within);
  const context = trace.setSpan(ROOT_CONTEXT, span);
  const carrier = (): TraceCarrier => {
    const headers: Record<string, string> = {};
    propagator.inject(context, headers, defaultTextMapSetter);
    return headers;
  };
  if (!span.isRecording()) return leftOut(carrier());
  return {
    get carrier() {
      return carrier();
    },
    child: (childName, childOptions) => begin(tracer, childName, context, childOptions),
    set: (more) => void span.setAttributes(more),
    end: (more = {}, error) => {
      if (!span.isRecording()) return;
      span.setAttributes(more);
      if (error !== undefined) {
        const failure = error instanceof Error ? error : new Error('it failed', { cause: error });
        span.setStatus({ code: SpanStatusCode.ERROR, message: failure.message });
        span.recordException(failure);
      }
      span.end();
    },
  };
}

/** Work within a span that the sampler left out: no sampler of the standard keeps a part of it. */
function leftOut(carrier: TraceCarrier): TraceSpan {
  const span: TraceSpan = { carrier, child: () => span, set: () => undefined, end: () => undefined };
  return span;
}

/** What the SDK says of itself, such as that nobody listens, goes to the log now and then, and never to the terminal. */
function complainTo(log: Logger): void {
  let last = -Infinity;
  const complain = (message: string): void => {
    if (performance.now() - last < complainMs) return;
    last = performance.now();
    log.warn('tracing', { detail: message.slice(0, 500) });
  };
  const nothing = (): void => undefined;
  diag.setLogger(
    { error: complain, warn: complain, info: nothing, debug: nothing, verbose: nothing },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
