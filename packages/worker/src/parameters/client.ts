import { setTimeout as delay } from 'node:timers/promises';
import { type ServiceError, status } from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  type GradientHeader,
  type ParameterServiceClient,
  type Phase,
  type PushGradientRequest,
  type PushGradientResponse,
  type Version,
  type VersionId,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { isTransient } from '@showtell/shared/rpc/channel.js';
import { messagesOf, sendAll } from '@showtell/shared/rpc/tensor-stream.js';
import type { PullVersionResponse, SegmentState } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { fromBfloat16, toBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { chunkRanges } from '@showtell/shared/tensors/chunks.js';
import {
  bytesOf,
  dtypeOf,
  type GradientBody,
  gradientBody,
  isSegmentName,
  type WireDtype,
  wireTypeOf,
} from '@showtell/shared/tensors/gradient-body.js';
import {
  type ParameterLayout,
  type SegmentName,
  segmentNames,
  type Segments,
} from '@showtell/shared/tensors/layout.js';
import { SharedFolder } from './shared-folder.js';
import { originOf, ParameterStore } from './store.js';

export interface ParameterClientOptions {
  readonly service: ParameterServiceClient;
  readonly layout: ParameterLayout;
  readonly worker: string;
  /** The job's `wire.dtype`. */
  readonly wire: WireDtype;
  /** From the session's Welcome; used when its nonce can be read there. */
  readonly sharedMemory?: { readonly directory: string; readonly nonce: string } | null;
}

/** A version as a worker computes with it. */
export interface PulledVersion {
  readonly id: VersionId;
  readonly phase: Phase;
  /** Over shared memory of this process; unwritten until the pull after next. */
  readonly segments: Segments;
  /** When each segment last changed: the same number, within a lineage, means the same values. */
  readonly changedAt: Readonly<Record<SegmentName, number>>;
}

/** One unit's gradient. */
export interface UnitGradient {
  readonly unit: UnitId;
  /** Version and phase it was computed with. */
  readonly version: VersionId;
  readonly phase: Phase;
  /** Examples that counted; with 0 no values are sent. */
  readonly examples: number;
  readonly tokens: number;
  readonly lossSum: number;
  readonly skipped: readonly number[];
  readonly computeSeconds: number;
  /** Whole segments: decoder, in the joint phase encoder and statistics, and the embedding unless it comes as rows. */
  readonly dense: Readonly<Partial<Record<SegmentName, Float32Array>>>;
  /** Rows of the embedding, each once in any order, and their gradients one after the other in that order. */
  readonly embeddingRows: { readonly numbers: ArrayLike<number>; readonly values: Float32Array } | null;
}

/** How often a call that is safe to repeat is made again when the connection fails. */
const attempts = 4;

/** A worker's side of the exchange: pulls versions and pushes gradients, by shared memory where both are on one host. */
export class ParameterClient {
  readonly #store: ParameterStore;
  #pulling: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly options: ParameterClientOptions,
    private readonly shared: SharedFolder | null,
  ) {
    this.#store = new ParameterStore(options.layout);
  }

  static async open(options: ParameterClientOptions): Promise<ParameterClient> {
    const { sharedMemory, worker } = options;
    const shared =
      sharedMemory == null ? null : await SharedFolder.open(sharedMemory.directory, sharedMemory.nonce, worker);
    return new ParameterClient(options, shared);
  }

  get transport(): 'shared-memory' | 'grpc' {
    return this.shared === null ? 'grpc' : 'shared-memory';
  }

  /**
   * Reads what changed in a version. One at a time; the store is replaced when all of it is there.
   * @throws ShowtellError `parameters/version-gone` when the server has moved on
   */
  pull(version: Version): Promise<PulledVersion> {
    const pull = this.#pulling.then(() => this.#pull(version));
    this.#pulling = pull.catch(() => undefined);
    return pull;
  }

  async #pull(version: Version): Promise<PulledVersion> {
    const { id, phase } = version;
    if (id === undefined) throw new TypeError('the version has no id');
    const origins = new Map<SegmentName, string>();
    const missing: SegmentName[] = [];
    for (const state of version.segments) {
      const { segment } = state;
      if (!isSegmentName(segment)) continue;
      const origin = originOf(id, state.changedAtStep);
      if (this.#store.holds(segment, origin)) continue;
      origins.set(segment, origin);
      if (!(await this.#readShared(id, state, this.#store.spare(segment)))) missing.push(segment);
    }
    if (missing.length > 0) await retrying(() => this.#pullChunks(id, missing));
    this.#store.replace(origins);
    const changedAt = Object.fromEntries(segmentNames.map((name) => [name, 0])) as Record<SegmentName, number>;
    for (const { segment, changedAtStep } of version.segments)
      if (isSegmentName(segment)) changedAt[segment] = changedAtStep;
    return { id, phase, segments: this.#store.segments, changedAt };
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

  async #pullChunks(id: VersionId, segments: readonly SegmentName[]): Promise<void> {
    const { service, wire } = this.options;
    const call = service.pullVersion({ id, segments: [...segments], wireType: wireTypeOf(wire) });
    const received = new Map<string, number>();
    try {
      for await (const { segment, element, body } of messagesOf<PullVersionResponse>(call)) {
        if (!isSegmentName(segment)) continue;
        const into = this.#store.spare(segment);
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
      if ((received.get(segment) ?? 0) !== this.options.layout.elements[segment])
        throw new Error(`segment ${segment} ended early`);
  }

  /**
   * Sends a unit's gradient and waits for the verdict. Repeating it is safe: a unit counts once, and the same worker's
   * same attempt gets the same answer.
   * @throws the call's error when the server stays out of reach
   */
  async push(gradient: UnitGradient): Promise<PushGradientResponse> {
    const { layout, wire } = this.options;
    const counts = gradient.examples > 0;
    const segments = counts ? segmentNames.filter((segment) => gradient.dense[segment] !== undefined) : [];
    const rows = counts && gradient.embeddingRows !== null ? ascendingRows(gradient.embeddingRows) : null;
    const body = gradientBody(layout, segments, rows?.numbers.length ?? 0, wire);
    const values = segments.map((segment) => gradient.dense[segment] ?? new Float32Array());
    if (body.rows !== null && rows !== null) values.push(rows.values);
    const header: GradientHeader = {
      unit: gradient.unit,
      version: gradient.version,
      worker: this.options.worker,
      examples: gradient.examples,
      tokens: gradient.tokens,
      lossSum: gradient.lossSum,
      skipped: [...gradient.skipped],
      wireType: wireTypeOf(wire),
      segments,
      embeddingRows: rows === null ? [] : Array.from(rows.numbers),
      slot: '',
      computeSeconds: gradient.computeSeconds,
      phase: gradient.phase,
    };
    const slot = counts ? await this.#writeSlot(body, values) : null;
    try {
      return await retrying(() =>
        slot === null ? this.#send(header, body, values) : this.#send({ ...header, slot }, body, []),
      );
    } finally {
      if (slot !== null) this.shared?.release(slot);
    }
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

  #send(header: GradientHeader, body: GradientBody, values: readonly Float32Array[]): Promise<PushGradientResponse> {
    return new Promise((resolve, reject) => {
      const call = this.options.service.pushGradient((error, response) =>
        error === null ? resolve(response) : reject(error),
      );
      // The server may answer before all is sent, as to a duplicate; then the rest has nowhere to go.
      call.on('error', () => undefined);
      sendAll(call, gradientMessages(header, body, values)).then(
        () => call.end(),
        () => undefined,
      );
    });
  }

  /** Closes and removes this worker's slots; the gRPC channel is its owner's. */
  async close(): Promise<void> {
    await this.#pulling;
    await this.shared?.close();
  }
}

/** The rows in the order of their numbers, as they travel. */
function ascendingRows(rows: NonNullable<UnitGradient['embeddingRows']>): { numbers: number[]; values: Float32Array } {
  const numbers = Array.from(rows.numbers);
  const width = numbers.length === 0 ? 0 : Math.floor(rows.values.length / numbers.length);
  const order = numbers.map((_, i) => i).sort((a, b) => (numbers[a] ?? 0) - (numbers[b] ?? 0));
  const values = new Float32Array(numbers.length * width);
  for (const [to, from] of order.entries())
    values.set(rows.values.subarray(from * width, (from + 1) * width), to * width);
  return { numbers: order.map((i) => numbers[i] ?? 0), values };
}

function* gradientMessages(
  header: GradientHeader,
  body: GradientBody,
  values: readonly Float32Array[],
): Generator<PushGradientRequest> {
  yield { message: { $case: 'header', value: header } };
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

async function retrying<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === attempts || !isTransient(error)) throw error;
      await delay(100 * 2 ** (attempt - 1));
    }
  }
}
