import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import type { SplitName } from '@showtell/shared/data/manifest.js';
import {
  Phase,
  Verdict,
  type CheckCanaryResponse,
  type PushEvaluationResponse,
  type Version,
  type VersionId,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { EvaluationKind, type EvaluationWork } from '@showtell/shared/generated/showtell/v1/unit.js';
import { noSpan, traced, type TraceSpan } from '@showtell/shared/service/tracing.js';
import { unitFields } from '@showtell/shared/plan/unit-fields.js';
import { Canary, type CanaryGraph } from './canary.js';
import type { GradientBuffers, StepResult, TrainingPhase } from './engine/engine.js';
import { featurePlace } from './feature-key.js';
import { GradientBufferPool } from './gradient-buffers.js';
import type { HeldUnit, HeldUnits } from './held-units.js';
import type { PreparedUnit, PrepareRequest } from './input/prepare-unit.js';
import type { Membership } from './membership.js';
import { HeldVersion } from './parameters/held-version.js';
import { evaluateCaptions, evaluateLosses } from './units/evaluate-unit.js';
import { trainUnit } from './units/train-unit.js';
import { featuresOfUnit } from './units/unit-features.js';
import { secondsSince, type WaitingTimes } from './waiting-times.js';
import type { WorkerParts } from './worker-parts.js';

/** Computes units within one membership: version, canary, features, gradient or evaluation, push, verdict. */
export class UnitComputer {
  private readonly version: HeldVersion;
  /** Of the cache in which features of the version's encoder are kept; null: none are. */
  private featuresKey: string | null = null;
  private takenVersion: Version | null = null;
  private readonly buffers: GradientBufferPool;
  private readonly canary: Canary;

  /** @param onSettled told when the verdict on a pushed unit is in */
  constructor(
    private readonly parts: WorkerParts,
    private readonly member: Membership,
    private readonly held: HeldUnits,
    private readonly times: WaitingTimes,
    private readonly onSettled: () => void,
  ) {
    const { engine, layout, job, rules } = parts;
    const { examples, units, captionLengths } = job.batch;
    this.version = new HeldVersion(engine, member.parameters);
    this.buffers = new GradientBufferPool(
      layout,
      (examples / units) * (captionLengths.at(-1) ?? 0) * rules.dropout.embedding,
    );
    this.canary = new Canary({
      engine,
      layout,
      dropout: rules.dropout,
      vocabulary: job.model.decoder.vocabulary,
      imageSize: rules.imageSize,
      check: (graph, sha256) => this.askCanary(graph, sha256),
    });
  }

  holds(version: Version): boolean {
    return this.version.isOf(version.id);
  }

  /** The version it holds, as it was announced when it was taken. */
  get taken(): Version | null {
    return this.takenVersion;
  }

  /**
   * Takes a version, and finds the features kept for its encoder if that is frozen.
   * @param within what it is taken for
   * @throws ShowtellError `parameters/version-gone`, `worker/canary-refused`
   */
  async takeVersion(wanted: Version, within: TraceSpan = noSpan): Promise<void> {
    const { job, metrics, engine, input, rules } = this.parts;
    const began = performance.now();
    const span = within.child('pull', { kind: 'client', attributes: { 'showtell.step': wanted.id?.step } });
    const take = traced(span, () => this.version.take(wanted, span.carrier));
    const bytes = await this.times.waiting('parameters', take);
    this.takenVersion = wanted;
    metrics.series.version.set(wanted.id?.step ?? 0);
    const way = bytes.grpc > 0 ? 'grpc' : this.member.parameters.transport;
    metrics.series.exchange.observe({ direction: 'pull', way }, secondsSince(began));
    for (const by of exchangeWays) metrics.series.exchangeBytes.inc({ direction: 'received', way: by }, bytes[by]);

    const { featureCache } = job.cluster;
    if (featureCache === 'off') return;
    if (wanted.phase === Phase.PHASE_JOINT || !this.version.encoderStands) {
      this.featuresKey = null;
      input.useCache(null);
      return;
    }
    await this.ensure({ kind: 'features' }, null);
    const origin = {
      encoderSha256: this.version.encoderSha256(),
      canarySha256: this.canary.hashOf({ kind: 'features' }),
      fingerprint: engine.fingerprint,
      rules,
    };
    const place = featurePlace(featureCache, origin);
    this.featuresKey = place.key;
    input.useCache(place);
  }

  /** Begins to read and decode a unit; which pictures it needs may turn out otherwise, then the rest is read later. */
  prepare(lease: Lease, phase: Phase): Promise<PreparedUnit> {
    const { job } = this.parts;
    const training = lease.unit.work?.$case === 'training';
    const distorted = training && job.augmentation.enabled;
    const all = job.cluster.featureCache === 'off' || distorted || (training && phase === Phase.PHASE_JOINT);
    return this.prepareWith(lease, all ? 'all' : 'unless-cached');
  }

  private prepareWith(lease: Lease, pictures: PrepareRequest['pictures']): Promise<PreparedUnit> {
    const { work } = lease.unit;
    if (work === undefined) return Promise.reject(new TypeError('the unit has no work'));
    return this.parts.input.prepare(
      work.$case === 'training'
        ? { split: 'train', records: work.value.records, seed: work.value.seed, pictures }
        : { split: work.value.split as SplitName, records: work.value.records, seed: null, pictures },
    );
  }

  /**
   * Computes a unit with the version held; its result is being sent when this resolves, or was.
   * @throws what reading or computing it threw; the unit is the caller's to settle then
   */
  async compute(unit: HeldUnit, version: Version): Promise<void> {
    const { metrics, log } = this.parts;
    const asked = performance.now();
    let prepared = await this.times.waiting('data', unit.prepared);
    // It was made ready before the version was there, maybe with features of another one's encoder; a joint step has no use
    // for any, though the version that it begins with has them from before.
    const isJoint = unit.lease.unit.work?.$case === 'training' && phaseOf(version) === 'joint';
    const key = isJoint ? null : this.featuresKey;
    if (prepared.featuresKey !== null && prepared.featuresKey !== key) {
      const anew = this.prepareWith(unit.lease, key === null ? 'all' : 'unless-cached');
      prepared = await this.times.waiting('data', anew);
    }
    const dataSeconds = secondsSince(asked);
    metrics.series.decode.observe(prepared.seconds);
    metrics.series.images.inc({ source: 'decoded' }, prepared.imageOf.length);
    metrics.series.images.inc({ source: 'feature-cache' }, prepared.places.length - prepared.imageOf.length);
    for (const { place, reason } of prepared.skipped) {
      metrics.series.corruptRecords.inc({ kind: 'undecodable' });
      log.warn('a record is skipped', { ...unitFields(unit.lease.unit.id), place, reason });
    }
    const { work } = unit.lease.unit;
    if (work?.$case === 'evaluation') await this.evaluate(unit, work.value, prepared, version);
    else await this.train(unit, prepared, dataSeconds, version);
  }

  private async train(unit: HeldUnit, prepared: PreparedUnit, dataSeconds: number, version: Version): Promise<void> {
    const { engine } = this.parts;
    const phase = phaseOf(version);
    const { captions, places } = prepared;
    const buffers = await this.buffers.take(phase === 'joint');
    let result: StepResult = { lossSum: 0, tokens: 0, words: new Int32Array() };
    let computeSeconds = 0;
    try {
      if (places.length > 0) {
        const tokens = captions.mask.reduce((sum, counts) => sum + counts, 0);
        await this.ensure({ kind: 'train', phase, B: captions.B, T: captions.T, tokens }, buffers);
        if (phase === 'decoder-only' && prepared.imageOf.length > 0) await this.ensure({ kind: 'features' }, null);
        const began = performance.now();
        const features = phase === 'joint' ? null : await this.features(prepared);
        const span = unit.span.child('compute', { attributes: { 'showtell.phase': phase } });
        result = await traced(span, () => trainUnit(engine, prepared, phase, features, buffers));
        computeSeconds = this.times.computed('train', phase, began);
      }
    } catch (error) {
      this.buffers.giveBack(buffers);
      throw error;
    }
    void this.push(unit, version, { phase, prepared, result, computeSeconds, dataSeconds, buffers });
  }

  /** Sends a gradient while the next unit is computed, and settles the unit by the verdict. */
  private async push(unit: HeldUnit, version: Version, trained: TrainedUnit): Promise<void> {
    const { metrics, log, rules } = this.parts;
    const { phase, prepared, result, computeSeconds, dataSeconds, buffers } = trained;
    const { id } = unit.lease.unit;
    const examples = prepared.places.length;
    const began = performance.now();
    const span = unit.span.child('push', { kind: 'client' });
    try {
      const values = buffers.embeddingRows.subarray(0, result.words.length * rules.dropout.embedding);
      const { verdict, detail, way, bytes } = await this.member.parameters.push({
        trace: span.carrier,
        unit: id,
        version: version.id as VersionId,
        phase: version.phase,
        examples,
        tokens: result.tokens,
        lossSum: result.lossSum,
        skipped: prepared.skipped.map(({ place }) => place),
        computeSeconds,
        dataSeconds,
        dense:
          phase === 'joint' && buffers.encoder !== undefined && buffers.statistics !== undefined
            ? { decoder: buffers.decoder, encoder: buffers.encoder, statistics: buffers.statistics }
            : { decoder: buffers.decoder },
        embeddingRows: { numbers: result.words, values },
      });
      span.end({ 'showtell.way': way, 'showtell.bytes': bytes });
      metrics.series.exchange.observe({ direction: 'push', way }, secondsSince(began));
      metrics.series.exchangeBytes.inc({ direction: 'sent', way }, bytes);
      this.settle(unit, verdict, detail, examples);
    } catch (error) {
      span.end({}, error);
      log.warn('a gradient could not be sent', { ...unitFields(id), error });
      this.held.giveBack(unit, 'its gradient could not be sent');
    } finally {
      this.buffers.giveBack(buffers);
      this.onSettled();
    }
  }

  private async evaluate(
    unit: HeldUnit,
    work: EvaluationWork,
    prepared: PreparedUnit,
    version: Version,
  ): Promise<void> {
    const { engine, job, vocabulary, id: worker } = this.parts;
    const { B, T } = prepared.captions;
    const captioning = work.kind === EvaluationKind.EVALUATION_KIND_CAPTIONS;
    const { beam, maxLength, lengthNormalization } = job.evaluation;
    if (B > 0) {
      if (prepared.imageOf.length > 0) await this.ensure({ kind: 'features' }, null);
      await this.ensure(captioning ? { kind: 'decode', k: beam } : { kind: 'evaluate', B, T }, null);
    }
    const began = performance.now();
    const compute = unit.span.child('compute', { attributes: { 'showtell.phase': phaseOf(version) } });
    const features = await this.features(prepared);
    const count = work.records.length;
    const options = { vocabulary, width: beam, maxLength, lengthNormalization };
    const records = await traced(compute, () =>
      captioning
        ? evaluateCaptions(engine, prepared, features, count, options)
        : evaluateLosses(engine, prepared, features, count),
    );
    this.times.computed('evaluate', phaseOf(version), began);
    const request = { unit: unit.lease.unit.id, version: version.id, worker, records };
    const pushed = new Promise<PushEvaluationResponse>((resolve, reject) => {
      this.member.service.pushEvaluation(request, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
    const { verdict, detail } = await traced(unit.span.child('push', { kind: 'client' }), () => pushed);
    this.settle(unit, verdict, detail, 0);
  }

  private async features(prepared: PreparedUnit): Promise<Float32Array> {
    const { engine, input, job, rules } = this.parts;
    return featuresOfUnit(engine, prepared, rules.dropout.features, (pictures, features) => {
      const distorted = job.augmentation.enabled && prepared.dropout !== null;
      if (!distorted && job.cluster.featureCache !== 'off') input.keep(pictures, features);
    });
  }

  private settle(unit: HeldUnit, verdict: Verdict, detail: string, examples: number): void {
    const { metrics, log } = this.parts;
    const outcome = outcomes[verdict];
    metrics.series.units.inc({ outcome });
    unit.span.set({ 'showtell.outcome': outcome });
    log.debug('unit settled', { ...unitFields(unit.lease.unit.id), outcome });
    if (verdict === Verdict.VERDICT_ACCEPTED) metrics.series.examples.inc(examples);
    else log.info('a result was not taken', { ...unitFields(unit.lease.unit.id), verdict: outcome, detail });
    this.held.settle(unit);
  }

  private async ensure(graph: CanaryGraph, into: GradientBuffers | null): Promise<void> {
    if (await this.canary.check(graph, into)) await this.version.apply();
  }

  private askCanary(graph: string, sha256: string): Promise<CheckCanaryResponse> {
    this.parts.log.debug('canary', { graph, sha256 });
    return new Promise((resolve, reject) => {
      this.member.service.checkCanary({ worker: this.parts.id, graph, sha256 }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }
}

interface TrainedUnit {
  readonly phase: TrainingPhase;
  readonly prepared: PreparedUnit;
  readonly result: StepResult;
  readonly computeSeconds: number;
  readonly dataSeconds: number;
  readonly buffers: GradientBuffers;
}

const exchangeWays = ['shared-memory', 'grpc'] as const;

const outcomes: Record<Verdict, string> = {
  [Verdict.VERDICT_UNSPECIFIED]: 'invalid',
  [Verdict.VERDICT_ACCEPTED]: 'accepted',
  [Verdict.VERDICT_DUPLICATE]: 'duplicate',
  [Verdict.VERDICT_STALE]: 'stale',
  [Verdict.VERDICT_INVALID]: 'invalid',
};

function phaseOf({ phase }: Version): TrainingPhase {
  return phase === Phase.PHASE_JOINT ? 'joint' : 'decoder-only';
}
