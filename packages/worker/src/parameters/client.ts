import {
  type GradientHeader,
  type ParameterServiceClient,
  type Phase,
  type PushGradientResponse,
  type SegmentState,
  type Version,
  type VersionId,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { TraceCarrier } from '@showtell/shared/service/tracing.js';
import { isSegmentName, type WireDtype, wireTypeOf } from '@showtell/shared/tensors/gradient-body.js';
import {
  type ParameterLayout,
  type SegmentName,
  segmentNames,
  type Segments,
} from '@showtell/shared/tensors/layout.js';
import { divideLayout } from '@showtell/shared/tensors/shards.js';
import { type ExchangeWay, type GradientValues, PartLink, type SharedPlace, sendGradient } from './part-link.js';
import { retrying } from './retrying.js';
import { originOf, ParameterStore } from './store.js';

export interface ParameterClientOptions {
  readonly service: ParameterServiceClient;
  readonly layout: ParameterLayout;
  readonly worker: string;
  /** The job's `wire.dtype`. */
  readonly wire: WireDtype;
  /** Of the coordinator. */
  readonly sharedMemory?: SharedPlace | null;
  /** Where the parts lie when the parameters are divided, in their order; none: at the coordinator. */
  readonly shards?: readonly { readonly service: ParameterServiceClient; readonly sharedMemory: SharedPlace | null }[];
}

/** A version as a worker computes with it. */
export interface PulledVersion {
  readonly id: VersionId;
  readonly phase: Phase;
  /** Over shared memory of this process; unwritten until the pull after next. */
  readonly segments: Segments;
  /** When each segment last changed: the same number, within a lineage, means the same values. */
  readonly changedAt: Readonly<Record<SegmentName, number>>;
  /** Tensor bytes that were read for it, by the way they came. */
  readonly bytes: Readonly<Record<ExchangeWay, number>>;
}

/** What became of a gradient. */
export interface PushedGradient extends PushGradientResponse {
  readonly way: ExchangeWay;
  /** Of the tensors that went. */
  readonly bytes: number;
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
  /** That the engine stood idle for the unit's records. */
  readonly dataSeconds: number;
  /** Whole segments: decoder, in the joint phase encoder and statistics, and the embedding unless it comes as rows. */
  readonly dense: Readonly<Partial<Record<SegmentName, Float32Array>>>;
  /** Rows of the embedding, each once in any order, and their gradients one after the other in that order. */
  readonly embeddingRows: { readonly numbers: ArrayLike<number>; readonly values: Float32Array } | null;
  /** The trace that sending it is part of. */
  readonly trace?: TraceCarrier;
}

/** A worker's side of the exchange: pulls versions and pushes gradients, by shared memory where both are on one host. */
export class ParameterClient {
  readonly #store: ParameterStore;
  #pulling: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly options: ParameterClientOptions,
    private readonly links: readonly PartLink[],
  ) {
    this.#store = new ParameterStore(options.layout);
  }

  static async open(options: ParameterClientOptions): Promise<ParameterClient> {
    const { service, layout, worker, wire, sharedMemory = null, shards = [] } = options;
    const places = shards.length === 0 ? [{ service, sharedMemory }] : shards;
    const parts = divideLayout(layout, places.length);
    const links = await Promise.all(
      places.flatMap((place, i) => {
        const part = parts[i];
        return part === undefined ? [] : [PartLink.open({ ...place, part, worker, wire })];
      }),
    );
    return new ParameterClient(options, links);
  }

  get transport(): ExchangeWay {
    return this.links.every(({ transport }) => transport === 'shared-memory') ? 'shared-memory' : 'grpc';
  }

  /**
   * Reads what changed in a version. One at a time; the store is replaced when all of it is there.
   * @throws ShowtellError `parameters/version-gone` when the server has moved on
   */
  pull(version: Version, trace: TraceCarrier = {}): Promise<PulledVersion> {
    const pull = this.#pulling.then(() => this.#pull(version, trace));
    this.#pulling = pull.catch(() => undefined);
    return pull;
  }

  async #pull(version: Version, trace: TraceCarrier): Promise<PulledVersion> {
    const { id, phase } = version;
    if (id === undefined) throw new TypeError('the version has no id');
    const origins = new Map<SegmentName, string>();
    const wanted: SegmentState[] = [];
    for (const state of version.segments) {
      const { segment } = state;
      if (!isSegmentName(segment)) continue;
      const origin = originOf(id, state.changedAtStep);
      if (this.#store.holds(segment, origin)) continue;
      origins.set(segment, origin);
      wanted.push(state);
    }
    const read = await Promise.all(
      this.links.map((link) => link.pull(id, wanted, (segment) => this.#store.spare(segment), trace)),
    );
    const bytes = {
      'shared-memory': read.reduce((sum, by) => sum + by['shared-memory'], 0),
      grpc: read.reduce((sum, by) => sum + by.grpc, 0),
    };
    this.#store.replace(origins);
    const changedAt = Object.fromEntries(segmentNames.map((name) => [name, 0])) as Record<SegmentName, number>;
    for (const { segment, changedAtStep } of version.segments)
      if (isSegmentName(segment)) changedAt[segment] = changedAtStep;
    return { id, phase, segments: this.#store.segments, changedAt, bytes };
  }

  /**
   * Sends a unit's gradient and waits for the verdict. Repeating it is safe: a unit counts once, and the same worker's
   * same attempt gets the same answer.
   * @throws the call's error when the server stays out of reach
   */
  async push(gradient: UnitGradient): Promise<PushedGradient> {
    const { service, wire, worker } = this.options;
    const { trace = {} } = gradient;
    const counts = gradient.examples > 0;
    const rows = counts && gradient.embeddingRows !== null ? ascendingRows(gradient.embeddingRows) : null;
    const header: GradientHeader = {
      unit: gradient.unit,
      version: gradient.version,
      worker,
      examples: gradient.examples,
      tokens: gradient.tokens,
      lossSum: gradient.lossSum,
      skipped: [...gradient.skipped],
      wireType: wireTypeOf(wire),
      segments: counts ? segmentNames.filter((segment) => gradient.dense[segment] !== undefined) : [],
      embeddingRows: rows?.numbers ?? [],
      slot: '',
      computeSeconds: gradient.computeSeconds,
      dataSeconds: gradient.dataSeconds,
      phase: gradient.phase,
      atShards: false,
    };
    if (!counts)
      return { ...(await retrying(() => sendGradient(service, header, [], trace))), way: this.transport, bytes: 0 };
    return this.#pushValues(header, { dense: gradient.dense, rows }, trace);
  }

  async #pushValues(header: GradientHeader, values: GradientValues, trace: TraceCarrier): Promise<PushedGradient> {
    const { service, shards = [] } = this.options;
    const parts = await Promise.all(this.links.map((link) => link.gradient(values)));
    const [only] = parts;
    try {
      const answer = await retrying(async () => {
        if (shards.length === 0 && only !== undefined) return only.send(header, trace);
        await Promise.all(parts.map((part) => part.send(header, trace)));
        // Whether it counts, in all shards or in none, is the coordinator's to say; a refusal too, of which it must know.
        return sendGradient(service, { ...header, atShards: true }, [], trace);
      });
      const isShared = parts.every(({ way }) => way === 'shared-memory');
      return {
        ...answer,
        way: isShared ? 'shared-memory' : 'grpc',
        bytes: parts.reduce((n, { bytes }) => n + bytes, 0),
      };
    } finally {
      for (const part of parts) part.release();
    }
  }

  /** Closes and removes this worker's slots; gRPC channels are their owner's. */
  async close(): Promise<void> {
    await this.#pulling;
    await Promise.all(this.links.map((link) => link.close()));
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
