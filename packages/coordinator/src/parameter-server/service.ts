import {
  type sendUnaryData,
  type ServerReadableStream,
  type ServerWritableStream,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  type GradientChunk,
  type GradientHeader,
  type ParameterServiceServer,
  type PullVersionRequest,
  type PullVersionResponse,
  type PushGradientRequest,
  type PushGradientResponse,
  Verdict,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { traceOf } from '@showtell/shared/rpc/trace-metadata.js';
import { sendToEnd } from '@showtell/shared/rpc/tensor-stream.js';
import { noTracing, type Tracing } from '@showtell/shared/service/tracing.js';
import { chunkRanges } from '@showtell/shared/tensors/chunks.js';
import { toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { bytesOf, dtypeOf, isSegmentName, type WireDtype, wireTypeOf } from '@showtell/shared/tensors/gradient-body.js';
import type { Segments } from '@showtell/shared/tensors/layout.js';
import type { ParameterServer } from './parameter-server.js';
import type { PushVerdict } from './verdict.js';

/** What is served: all parameters, or a shard's part of them. */
export type ServedParameters = Pick<ParameterServer, 'wire' | 'pinVersion' | 'push'>;

/** How long after its end a stream may turn out to have been broken off. */
const cancelledMs = 100;

/** What is wrong with who sends a header; null: nothing. */
export type HeaderCheck = (
  call: ServerReadableStream<PushGradientRequest, PushGradientResponse>,
  header: GradientHeader,
) => Partial<ServiceError> | null;

/**
 * The part of the gRPC service that moves parameters and gradients; sessions and evaluations are not its business.
 *
 * @param onVerdict is told what became of each gradient, before its worker is.
 */
export function parameterHandlers(
  server: ServedParameters,
  onVerdict: (header: GradientHeader, verdict: PushVerdict) => void = () => undefined,
  tracing: Tracing = noTracing,
  headerFault: HeaderCheck = () => null,
): Pick<ParameterServiceServer, 'pullVersion' | 'pushGradient'> {
  return {
    pullVersion: (call) => void pullVersion(server, call, tracing),
    pushGradient: (call, callback) => void pushGradient(server, onVerdict, headerFault, tracing, call, callback),
  };
}

async function pullVersion(
  server: ServedParameters,
  call: ServerWritableStream<PullVersionRequest, PullVersionResponse>,
  tracing: Tracing,
): Promise<void> {
  const span = tracing.continue(traceOf(call.metadata), 'send version', { kind: 'server' });
  const { id = { generation: 0, lineage: 0, step: 0 }, segments, wireType } = call.request;
  let pinned;
  try {
    if (wireType !== wireTypeOf(server.wire)) throw new RangeError(`this run's values travel as ${server.wire}`);
    pinned = server.pinVersion(id);
    await sendToEnd(call, versionChunks(pinned.parameters, segments, server.wire));
  } catch (error) {
    const gone = error instanceof ShowtellError && error.code === 'parameters/version-gone';
    const code = gone ? status.FAILED_PRECONDITION : status.INVALID_ARGUMENT;
    // Not destroy(): grpc-js sends no status for a stream that is destroyed, and the caller would wait for ever.
    call.emit('error', Object.assign(new Error(messageOf(error)), { code, details: messageOf(error) }));
  } finally {
    pinned?.release();
    span.end();
  }
}

function* versionChunks(
  parameters: Segments,
  segments: readonly string[],
  wire: WireDtype,
): Generator<PullVersionResponse> {
  for (const segment of segments) {
    if (!isSegmentName(segment)) throw new RangeError(`there is no segment ${segment}`);
    const values = parameters[segment];
    const dtype = dtypeOf(segment, wire);
    for (const { element, elements } of chunkRanges(values.length, bytesOf(dtype))) {
      const part = values.subarray(element, element + elements);
      if (dtype === 'float32') {
        yield { segment, element, body: Buffer.from(part.buffer, part.byteOffset, part.byteLength) };
      } else {
        const narrow = new Uint16Array(elements);
        toBfloat16(part, narrow);
        yield { segment, element, body: Buffer.from(narrow.buffer) };
      }
    }
  }
}

async function pushGradient(
  server: ServedParameters,
  onVerdict: (header: GradientHeader, verdict: PushVerdict) => void,
  headerFault: HeaderCheck,
  tracing: Tracing,
  call: ServerReadableStream<PushGradientRequest, PushGradientResponse>,
  callback: sendUnaryData<PushGradientResponse>,
): Promise<void> {
  const span = tracing.continue(traceOf(call.metadata), 'sum', { kind: 'server' });
  try {
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<PushGradientRequest, undefined>;
    const first = await messages.next();
    if (first.done === true || first.value.message?.$case !== 'header') {
      callback({ code: status.INVALID_ARGUMENT, details: 'a gradient begins with its header' });
      return;
    }
    const { value: header } = first.value.message;
    const fault = headerFault(call, header);
    if (fault !== null) {
      span.end({}, fault.details);
      callback(fault);
      return;
    }
    const chunks = header.slot === '' ? chunksOf(messages) : null;
    const verdict = await server.push(header, chunks);
    if (verdict.verdict === Verdict.VERDICT_INVALID && chunks !== null && (await isBrokenOff(call)))
      throw new Error('the gradient broke off');
    span.end({
      'showtell.step': header.unit?.step,
      'showtell.unit': header.unit?.index,
      'showtell.worker': header.worker,
      'showtell.verdict': verdictName(verdict.verdict),
    });
    onVerdict(header, verdict);
    callback(null, verdict);
  } catch (error) {
    span.end({}, error);
    callback({ code: statusOf(error), details: messageOf(error) });
  }
}

/**
 * Whether the sender is gone, and so ended nothing: when a connection breaks, grpc-js lets the stream end, and says only then that the
 * call is cancelled.
 */
async function isBrokenOff(call: ServerReadableStream<PushGradientRequest, PushGradientResponse>): Promise<boolean> {
  if (!call.cancelled)
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, cancelledMs);
      call.once('cancelled', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  return call.cancelled;
}

async function* chunksOf(messages: AsyncIterator<PushGradientRequest, undefined>): AsyncGenerator<GradientChunk> {
  for (;;) {
    const next = await messages.next();
    if (next.done === true) return;
    if (next.value.message?.$case === 'chunk') yield next.value.message.value;
  }
}

/** "accepted", "stale", … */
function verdictName(verdict: Verdict): string {
  return Verdict[verdict].replace('VERDICT_', '').toLowerCase();
}

/** What gRPC says of a failure: its own status where it has one. */
export function statusOf(error: unknown): status {
  const { code } = error as { readonly code?: status | string };
  return typeof code === 'number' ? code : status.INTERNAL;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
