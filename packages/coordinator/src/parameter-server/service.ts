import { type sendUnaryData, type ServerReadableStream, type ServerWritableStream, status } from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type {
  GradientChunk,
  GradientHeader,
  ParameterServiceServer,
  PullVersionRequest,
  PullVersionResponse,
  PushGradientRequest,
  PushGradientResponse,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { sendAll } from '@showtell/shared/rpc/tensor-stream.js';
import { chunkRanges } from '@showtell/shared/tensors/chunks.js';
import { toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { bytesOf, dtypeOf, isSegmentName, type WireDtype, wireTypeOf } from '@showtell/shared/tensors/gradient-body.js';
import type { Segments } from '@showtell/shared/tensors/layout.js';
import type { ParameterServer } from './parameter-server.js';
import type { PushVerdict } from './verdict.js';

/**
 * The part of the gRPC service that moves parameters and gradients; sessions and evaluations are not its business.
 *
 * @param onVerdict is told what became of each gradient, before its worker is.
 */
export function parameterHandlers(
  server: ParameterServer,
  onVerdict: (header: GradientHeader, verdict: PushVerdict) => void = () => undefined,
): Pick<ParameterServiceServer, 'pullVersion' | 'pushGradient'> {
  return {
    pullVersion: (call) => void pullVersion(server, call),
    pushGradient: (call, callback) => void pushGradient(server, onVerdict, call, callback),
  };
}

async function pullVersion(
  server: ParameterServer,
  call: ServerWritableStream<PullVersionRequest, PullVersionResponse>,
): Promise<void> {
  const { id = { generation: 0, lineage: 0, step: 0 }, segments, wireType } = call.request;
  let pinned;
  try {
    if (wireType !== wireTypeOf(server.wire)) throw new RangeError(`this run's values travel as ${server.wire}`);
    pinned = server.pinVersion(id);
    await sendAll(call, versionChunks(pinned.parameters, segments, server.wire));
    // The version stays pinned until the last chunk is copied into a message.
    await new Promise<void>((resolve) => {
      call.once('finish', resolve).once('close', resolve).once('cancelled', resolve);
      call.end();
    });
  } catch (error) {
    const gone = error instanceof ShowtellError && error.code === 'parameters/version-gone';
    const code = gone ? status.FAILED_PRECONDITION : status.INVALID_ARGUMENT;
    // Not destroy(): grpc-js sends no status for a stream that is destroyed, and the caller would wait for ever.
    call.emit('error', Object.assign(new Error(messageOf(error)), { code, details: messageOf(error) }));
  } finally {
    pinned?.release();
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
  server: ParameterServer,
  onVerdict: (header: GradientHeader, verdict: PushVerdict) => void,
  call: ServerReadableStream<PushGradientRequest, PushGradientResponse>,
  callback: sendUnaryData<PushGradientResponse>,
): Promise<void> {
  try {
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<PushGradientRequest, undefined>;
    const first = await messages.next();
    if (first.done === true || first.value.message?.$case !== 'header') {
      callback({ code: status.INVALID_ARGUMENT, details: 'a gradient begins with its header' });
      return;
    }
    const { value: header } = first.value.message;
    const chunks = header.slot === '' ? chunksOf(messages) : null;
    const verdict = await server.push(header, chunks);
    onVerdict(header, verdict);
    callback(null, verdict);
  } catch (error) {
    callback({ code: status.INTERNAL, details: messageOf(error) });
  }
}

async function* chunksOf(messages: AsyncIterator<PushGradientRequest, undefined>): AsyncGenerator<GradientChunk> {
  for (;;) {
    const next = await messages.next();
    if (next.done === true) return;
    if (next.value.message?.$case === 'chunk') yield next.value.message.value;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
