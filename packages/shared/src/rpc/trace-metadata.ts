import { Metadata } from '@grpc/grpc-js';
import type { TraceCarrier } from '../service/tracing.js';

const names = ['traceparent', 'tracestate'] as const;

/** A trace's context as a call's metadata carries it. */
export function metadataOf(carrier: TraceCarrier): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(carrier)) metadata.set(name, value);
  return metadata;
}

/** The trace that a call is part of. */
export function traceOf(metadata: Metadata): TraceCarrier {
  const entries = names.map((name) => [name, metadata.get(name)[0]?.toString() ?? ''] as const);
  return Object.fromEntries(entries.filter(([, value]) => value !== ''));
}
