import { createHash } from 'node:crypto';
import type { Version, VersionId } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { TraceCarrier } from '@showtell/shared/service/tracing.js';
import type { SegmentName, Segments } from '@showtell/shared/tensors/layout.js';
import { segmentNames } from '@showtell/shared/tensors/layout.js';
import type { Engine } from '../engine/engine.js';
import type { ParameterClient, PulledVersion } from './client.js';
import { originOf } from './store.js';

/** The version that the engine computes with. */
export class HeldVersion {
  private held: PulledVersion | null = null;
  private origins: Readonly<Record<SegmentName, string>> | null = null;
  private numbers: Record<SegmentName, number> = { decoder: 0, embedding: 0, encoder: 0, statistics: 0 };
  private encoder: { readonly origin: string; readonly sha256: string } | null = null;

  constructor(
    private readonly engine: Engine,
    private readonly client: ParameterClient,
  ) {}

  get id(): VersionId | null {
    return this.held?.id ?? null;
  }

  isOf(id: VersionId | undefined): boolean {
    const held = this.held?.id;
    return (
      held !== undefined &&
      id !== undefined &&
      held.generation === id.generation &&
      held.lineage === id.lineage &&
      held.step === id.step
    );
  }

  /**
   * Pulls a version and hands it to the engine. Nothing may be computing: the pull after next writes over its values.
   * @returns tensor bytes that were read for it, by the way they came
   * @throws ShowtellError `parameters/version-gone` when it is current no more
   */
  async take(version: Version, trace: TraceCarrier = {}): Promise<PulledVersion['bytes']> {
    if (this.isOf(version.id)) return { 'shared-memory': 0, grpc: 0 };
    const pulled = await this.client.pull(version, trace);
    const origins = originsOf(pulled);
    // The engine knows segments by a number each; steps repeat after a rollback, so they get numbers of their own.
    for (const segment of segmentNames) if (this.origins?.[segment] !== origins[segment]) this.numbers[segment]++;
    this.held = pulled;
    this.origins = origins;
    await this.apply();
    return pulled.bytes;
  }

  /** Gives the engine the held version again, after a canary had its own. */
  async apply(): Promise<void> {
    if (this.held !== null) await this.engine.setParameters(this.held.segments, { ...this.numbers });
  }

  /** Whether the encoder is older than the version: a joint step changes it every time. */
  get encoderStands(): boolean {
    return this.held !== null && (this.held.changedAt.encoder < this.held.id.step || this.held.id.step === 0);
  }

  /** SHA-256 of the encoder's weights and moving averages, computed once for each. */
  encoderSha256(): string {
    if (this.held === null || this.origins === null) throw new Error('no version is held');
    const origin = `${this.origins.encoder} ${this.origins.statistics}`;
    if (this.encoder?.origin !== origin) this.encoder = { origin, sha256: hashEncoder(this.held.segments) };
    return this.encoder.sha256;
  }
}

function originsOf({ id, changedAt }: PulledVersion): Record<SegmentName, string> {
  return {
    decoder: originOf(id, changedAt.decoder),
    embedding: originOf(id, changedAt.embedding),
    encoder: originOf(id, changedAt.encoder),
    statistics: originOf(id, changedAt.statistics),
  };
}

function hashEncoder({ encoder, statistics }: Segments): string {
  const hash = createHash('sha256');
  for (const values of [encoder, statistics])
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex');
}
