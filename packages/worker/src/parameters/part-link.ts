import { type ServiceError, status } from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type {
  GradientHeader,
  ParameterServiceClient,
  PullVersionResponse,
  PushGradientRequest,
  PushGradientResponse,
  SegmentState,
  VersionId,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { messagesOf, sendAll } from '@showtell/shared/rpc/tensor-stream.js';
import { metadataOf } from '@showtell/shared/rpc/trace-metadata.js';
import type { TraceCarrier } from '@showtell/shared/service/tracing.js';
import { fromBfloat16, toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { chunkRanges } from '@showtell/shared/tensors/chunks.js';
import {
  bytesOf,
  dtypeOf,
  embeddingWidth,
  type GradientBody,
  gradientBody,
  isSegmentName,
  type WireDtype,
  wireTypeOf,
} from '@showtell/shared/tensors/gradient-body.js';
import { type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import type { ShardPart } from '@showtell/shared/tensors/shards.js';
import { retrying } from './retrying.js';
import { SharedFolder } from './shared-folder.js';

/** How bodies travel. */
export type ExchangeWay = 'shared-memory' | 'grpc';

/** From the session's Welcome; used when its nonce can be read there. */
export interface SharedPlace {
  readonly directory: string;
  readonly nonce: string;
}

export interface PartLinkOptions {
  readonly service: ParameterServiceClient;
  readonly part: ShardPart;
  readonly worker: string;
  /** The job's `wire.dtype`. */
  readonly wire: WireDtype;
  readonly sharedMemory: SharedPlace | null;
}

/** Values of one unit's gradient: whole segments, and the embedding's rows in ascending order. */
export interface GradientValues {
  readonly dense: Readonly<Partial<Record<SegmentName, Float32Array>>>;
  readonly rows: { readonly numbers: readonly number[]; readonly values: Float32Array } | null;
}

/** A part of a gradient on its way. */
export interface PartGradient {
  /** By which it goes, or went once it was sent. */
  readonly way: ExchangeWay;
  /** Of the tensors that go. */
  readonly bytes: number;
  /** @throws the call's error */
  send(header: GradientHeader, trace: TraceCarrier): Promise<PushGradientResponse>;
  /** After the verdict on the whole gradient. */
  release(): void;
}

/** The way to where a part of the parameters lies: all of them at the coordinator, or one shard's. */
export class PartLink {
  private constructor(
    private readonly options: PartLinkOptions,
    private readonly shared: SharedFolder | null,
  ) {}

  static async open(options: PartLinkOptions): Promise<PartLink> {
    const { sharedMemory, worker } = options;
    const shared =
      sharedMemory === null ? null : await SharedFolder.open(sharedMemory.directory, sharedMemory.nonce, worker);
    return new PartLink(options, shared);
  }

  get transport(): ExchangeWay {
    return this.shared === null ? 'grpc' : 'shared-memory';
  }

  /**
   * Reads the part of a version's segments into the whole segments' memory.
   * @returns tensor bytes that were read, by the way they came
   * @throws ShowtellError `parameters/version-gone` when the server has moved on
   */
  async pull(
    id: VersionId,
    segments: readonly SegmentState[],
    whole: (segment: SegmentName) => Float32Array,
    trace: TraceCarrier,
  ): Promise<Record<ExchangeWay, number>> {
    const { part, wire } = this.options;
    const into = (segment: SegmentName): Float32Array =>
      whole(segment).subarray(part.from[segment], part.from[segment] + part.layout.elements[segment]);
    const missing: SegmentName[] = [];
    const bytes = { 'shared-memory': 0, grpc: 0 };
    for (const state of segments) {
      const { segment } = state;
      if (!isSegmentName(segment)) continue;
      const isShared = await this.#readShared(id, state, into(segment));
      if (!isShared) missing.push(segment);
      bytes[isShared ? 'shared-memory' : 'grpc'] += part.layout.elements[segment] * bytesOf(dtypeOf(segment, wire));
    }
    if (missing.length > 0) await retrying(() => this.#pullChunks(id, missing, into, trace));
    return bytes;
  }

  async #readShared(id: VersionId, state: SegmentState, into: Float32Array): Promise<boolean> {
    const { segment, file, offset, changedAtStep } = state;
    if (this.shared === null || file === '' || !isSegmentName(segment)) return false;
    const stamp = { generation: id.generation, lineage: id.lineage, changedAtStep };
    try {
      return await this.shared.readSegment(file, offset, stamp, dtypeOf(segment, this.options.wire), into);
    } catch {
      return false;
    }
  }

  async #pullChunks(
    id: VersionId,
    segments: readonly SegmentName[],
    place: (segment: SegmentName) => Float32Array,
    trace: TraceCarrier,
  ): Promise<void> {
    const { service, wire, part } = this.options;
    const call = service.pullVersion({ id, segments: [...segments], wireType: wireTypeOf(wire) }, metadataOf(trace));
    const received = new Map<string, number>();
    try {
      for await (const { segment, element, body } of messagesOf<PullVersionResponse>(call)) {
        if (!isSegmentName(segment)) continue;
        const into = place(segment);
        const dtype = dtypeOf(segment, wire);
        const n = body.length / bytesOf(dtype);
        if (element !== (received.get(segment) ?? 0) || element + n > into.length)
          throw new Error(`a chunk of ${segment} came out of order`);
        if (dtype === 'float32') new Uint8Array(into.buffer, into.byteOffset + element * 4, body.length).set(body);
        else fromBfloat16(narrowView(body), into.subarray(element, element + n));
        received.set(segment, element + n);
      }
    } catch (error) {
      if ((error as Partial<ServiceError>).code === status.FAILED_PRECONDITION)
        throw new ShowtellError('parameters/version-gone', id, { cause: error });
      throw error;
    }
    for (const segment of segments)
      if ((received.get(segment) ?? 0) !== part.layout.elements[segment])
        throw new Error(`segment ${segment} ended early`);
  }

  /** Makes its part of a gradient ready: in a slot of shared memory where there is one. */
  async gradient({ dense, rows }: GradientValues): Promise<PartGradient> {
    const { part, wire } = this.options;
    const segments = segmentNames.filter((segment) => dense[segment] !== undefined);
    const own = rows === null ? null : rowsWithin(rows, part);
    const body = gradientBody(part.layout, segments, own?.numbers.length ?? 0, wire);
    const values = segments.map((segment) => {
      const from = part.from[segment];
      return (dense[segment] ?? new Float32Array()).subarray(from, from + part.layout.elements[segment]);
    });
    if (body.rows !== null && own !== null) values.push(own.values);
    let slot = await this.#writeSlot(body, values);
    return {
      get way() {
        return slot === null ? 'grpc' : 'shared-memory';
      },
      bytes: body.bytes,
      send: async (whole, trace) => {
        const { service } = this.options;
        const header = { ...whole, segments, embeddingRows: own?.numbers ?? [], slot: '' };
        if (slot !== null)
          try {
            return await sendGradient(service, { ...header, slot }, [], trace);
          } catch {
            // The slot may have gone with an older session of this worker's: the chunks carry the same bits.
            await this.shared?.discard(slot);
            slot = null;
          }
        return sendGradient(service, header, bodyMessages(body, values), trace);
      },
      release: () => {
        if (slot !== null) this.shared?.release(slot);
      },
    };
  }

  /** @returns null when the gradient must travel by gRPC */
  async #writeSlot(body: GradientBody, values: readonly Float32Array[]): Promise<string | null> {
    try {
      return (await this.shared?.writeGradient(body, values)) ?? null;
    } catch {
      // Shared memory is full or gone: the chunks carry the same bits.
      return null;
    }
  }

  /** Removes this worker's slots; the gRPC channel is its owner's. */
  async close(): Promise<void> {
    await this.shared?.close();
  }
}

/** Sends a header and what follows it. */
export function sendGradient(
  service: ParameterServiceClient,
  header: GradientHeader,
  chunks: Iterable<PushGradientRequest>,
  trace: TraceCarrier,
): Promise<PushGradientResponse> {
  return new Promise((resolve, reject) => {
    const call = service.pushGradient(metadataOf(trace), (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
    // The server may answer before all is sent, as to a duplicate; then the rest has nowhere to go.
    call.on('error', () => undefined);
    const messages = function* (): Generator<PushGradientRequest> {
      yield { message: { $case: 'header', value: header } };
      yield* chunks;
    };
    sendAll(call, messages()).then(
      () => call.end(),
      () => undefined,
    );
  });
}

/** The rows that reach into the part, whole. */
function rowsWithin(
  { numbers, values }: NonNullable<GradientValues['rows']>,
  { from, layout }: ShardPart,
): { numbers: number[]; values: Float32Array } {
  const width = embeddingWidth(layout);
  const [start, end] = [from.embedding, from.embedding + layout.elements.embedding];
  const first = numbers.findIndex((row) => (row + 1) * width > start);
  const after = numbers.findIndex((row) => row * width >= end);
  const [low, high] = [first < 0 ? numbers.length : first, after < 0 ? numbers.length : after];
  if (width === 0 || start === end || low >= high) return { numbers: [], values: new Float32Array() };
  return { numbers: numbers.slice(low, high), values: values.subarray(low * width, high * width) };
}

function* bodyMessages(body: GradientBody, values: readonly Float32Array[]): Generator<PushGradientRequest> {
  const parts = body.rows === null ? body.parts : [...body.parts, body.rows];
  for (const [i, whole] of values.entries()) {
    const part = parts[i];
    if (part === undefined) return;
    for (const { element, elements } of chunkRanges(whole.length, bytesOf(part.dtype))) {
      const piece = whole.subarray(element, element + elements);
      let bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
      if (part.dtype === 'bfloat16') {
        const narrow = new Uint16Array(elements);
        toBfloat16(piece, narrow);
        bytes = Buffer.from(narrow.buffer);
      }
      yield { message: { $case: 'chunk', value: { segment: part.segment, element, body: bytes } } };
    }
  }
}

/** A message's bytes begin anywhere; 16-bit views begin at even ones. */
function narrowView(body: Uint8Array): Uint16Array {
  const aligned = body.byteOffset % 2 === 0 ? body : body.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
}
