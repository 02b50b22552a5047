import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import type { Lease } from '@showtell/shared/bus/unit-queue.js';
import type { SplitName } from '@showtell/shared/data/manifest.js';
import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  Command_Kind,
  Phase,
  Verdict,
  type CheckCanaryResponse,
  type Command,
  type PushEvaluationResponse,
  type RecordEvaluation,
  type Version,
  type VersionId,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { EvaluationKind, type EvaluationWork, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Job } from '@showtell/shared/job/job.js';
import { isTransient } from '@showtell/shared/rpc/channel.js';
import type { Logger } from '@showtell/shared/service/log.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import { Bell } from './bell.js';
import { Canary, type CanaryGraph } from './canary.js';
import type { Engine, GradientBuffers, StepResult, TrainingPhase } from './engine/engine.js';
import { GradientBufferPool } from './gradient-buffers.js';
import { HeldUnits, type HeldUnit } from './held-units.js';
import type { Prefetcher } from './input/prefetch.js';
import type { InputRules, PreparedUnit, PrepareRequest } from './input/prepare-unit.js';
import type { Membership } from './membership.js';
import type { WorkerMetrics } from './metrics.js';
import { HeldVersion } from './parameters/held-version.js';
import { evaluateCaptions, evaluateLosses } from './units/evaluate-unit.js';
import { trainUnit } from './units/train-unit.js';
import { featuresOfUnit } from './units/unit-features.js';

/**
 * What a worker is doing. `starting`: the engine and the data are being opened, a coordinator looked for. `waiting`: for
 * a unit, or for the version that the units it holds are to be computed with. `computing`: a unit. `draining`: takes no
 * more units and ends what it began. `stopped`: holds nothing.
 */
export type WorkerState = 'starting' | 'waiting' | 'computing' | 'draining' | 'stopped';

/** How a membership ended; `lost`: the coordinator is gone and another may come. */
export type Departure = 'complete' | 'stopped' | 'drained' | 'lost';

export interface WorkerParts {
  readonly id: string;
  readonly job: Job;
  readonly layout: ParameterLayout;
  readonly vocabulary: Vocabulary;
  readonly rules: InputRules;
  readonly engine: Engine;
  readonly input: Prefetcher;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
}

/** Units of which lane there is room for. */
type Appetite = 'any' | 'now' | 'none';

/** A worker that waits for a version holds at most this many units, however many the last step gave it. */
const mostWaiting = 4;
/** How long one request for a unit stays open at the broker. */
const pollMs = 250;
const reportMs = 2_000;

/** A worker in one run: lease, read, compute, push, settle by the verdict; the next unit is already being decoded. */
export class Worker {
  private stateNow: WorkerState = 'starting';
  private announced: Version | null = null;
  private paused = false;
  private draining = false;
  private computing = false;
  private departure: Departure | null = null;
  /** Units computed for the announced step, and for the one before: as many are worth holding at the next barrier. */
  private unitsOfStep = 0;
  private unitsOfLastStep = 1;
  private unitsDone = 0;
  private readonly seconds = { compute: 0, data: 0, parameters: 0, unit: 0 };
  private readonly bell = new Bell();

  constructor(private readonly parts: WorkerParts) {}

  get state(): WorkerState {
    return this.stateNow;
  }

  /** To be called for what the session says, from its first message on. */
  readonly events = {
    version: (version: Version): void => {
      if (this.announced?.id?.step !== version.id?.step) {
        this.unitsOfLastStep = Math.max(1, this.unitsOfStep);
        this.unitsOfStep = 0;
      }
      this.announced = version;
      this.bell.ring();
    },
    command: ({ kind, reason }: Command): void => {
      this.parts.log.info('told by the coordinator', { command: Command_Kind[kind], reason });
      if (kind === Command_Kind.KIND_PAUSE) this.paused = true;
      else if (kind === Command_Kind.KIND_RESUME) this.paused = false;
      else if (kind === Command_Kind.KIND_DRAIN) this.draining = true;
      else if (kind === Command_Kind.KIND_COMPLETE) this.departure ??= 'complete';
      else if (kind === Command_Kind.KIND_STOP) this.departure ??= 'stopped';
      this.bell.ring();
    },
  };

  /** Takes no more units, gives back those not begun, ends what is being computed. */
  drain(): void {
    this.draining = true;
    this.bell.ring();
  }

  /** Works until the run ends, the coordinator is gone, or {@link drain} was called and all is settled. */
  async work(member: Membership): Promise<Departure> {
    const { job, layout, log, rules } = this.parts;
    void member.session.ended.then(() => {
      this.departure ??= 'lost';
      this.bell.ring();
    });
    using held = new HeldUnits(job.cluster.leaseSeconds, {
      taken: (unit) => member.session.send({ $case: 'leaseTaken', value: { unit } }),
      returned: (unit, reason) => member.session.send({ $case: 'leaseReturned', value: { unit, reason } }),
    });
    const version = new HeldVersion(this.parts.engine, member.parameters);
    const lengths = job.batch.captionLengths;
    const largest = (job.batch.examples / job.batch.units) * (lengths.at(-1) ?? 0) * rules.dropout.embedding;
    const shift: Shift = {
      member,
      held,
      version,
      buffers: new GradientBufferPool(layout, largest),
      canary: new Canary({
        engine: this.parts.engine,
        layout,
        dropout: rules.dropout,
        vocabulary: job.model.decoder.vocabulary,
        imageSize: rules.imageSize,
        check: (graph, sha256) => this.checkCanary(member, graph, sha256),
      }),
    };
    const report = setInterval(() => this.report(member), reportMs);
    log.info('joined', { run: member.session.welcome.run, exchange: member.parameters.transport });
    const taking = this.takeUnits(shift);
    try {
      return await this.computeUnits(shift);
    } finally {
      this.departure ??= 'stopped';
      this.bell.ring();
      clearInterval(report);
      await taking;
      for (const unit of held.waiting) held.giveBack(unit, 'the worker leaves');
      this.report(member);
      this.stateNow = 'stopped';
    }
  }

  /** Leases units as there is room for them: `now` before `ahead`. */
  private async takeUnits(shift: Shift): Promise<void> {
    const { queue } = shift.member;
    await Promise.all([
      this.pullWhile(
        shift,
        (appetite) => appetite === 'any',
        async () => {
          return (await queue.pull('now')) ?? (await queue.pull('ahead')) ?? (await queue.pull('ahead', pollMs));
        },
      ),
      // A request of its own stays open at `now`: it must not hold up the look-ahead once there is room for it.
      this.pullWhile(
        shift,
        (appetite) => appetite !== 'none',
        () => queue.pull('now', pollMs),
      ),
    ]);
  }

  private async pullWhile(
    shift: Shift,
    hungry: (appetite: Appetite) => boolean,
    pull: () => Promise<Lease | null>,
  ): Promise<void> {
    while (this.departure === null && !this.draining) {
      const seen = this.bell.rung;
      if (!hungry(this.appetite(shift.held))) {
        await this.bell.after(seen, 1_000);
        continue;
      }
      try {
        const lease = await pull();
        if (lease !== null) this.receive(lease, shift);
      } catch (error) {
        this.parts.log.warn('the broker gives no units', { error });
        await delay(pollMs);
      }
    }
  }

  /**
   * One unit is made ready while another is computed. Who waits for a version holds as many as the step before gave it,
   * and goes on asking for `now`: a unit offered again would wait behind the look-ahead of all otherwise.
   */
  private appetite(held: HeldUnits): Appetite {
    if (this.paused) return 'none';
    const room = this.computing ? 1 : Math.min(this.unitsOfLastStep, mostWaiting);
    if (held.waiting.length < room) return 'any';
    return this.computing ? 'none' : 'now';
  }

  private receive(lease: Lease, { member, held }: Shift): void {
    const { id } = lease.unit;
    if (id.generation !== member.session.welcome.generation) {
      lease.acknowledge();
      return;
    }
    if (this.departure !== null || this.draining) {
      lease.giveBack();
      return;
    }
    held.add(lease, this.prepare(lease));
    const room = Math.max(1, this.computing ? 1 : Math.min(this.unitsOfLastStep, mostWaiting));
    const farthest = held.waiting.at(-1);
    const step = this.announced?.id?.step ?? 0;
    if (held.waiting.length > room && farthest !== undefined && farthest.lease.unit.id.step > step)
      held.giveBack(farthest, 'a more urgent unit came');
    this.bell.ring();
  }

  private prepare(lease: Lease, pictures = this.pictures(lease)): Promise<PreparedUnit> {
    const { work } = lease.unit;
    if (work === undefined) return Promise.reject(new TypeError('the unit has no work'));
    const request: PrepareRequest =
      work.$case === 'training'
        ? { split: 'train', records: work.value.records, seed: work.value.seed, pictures }
        : { split: work.value.split as SplitName, records: work.value.records, seed: null, pictures };
    return this.parts.input.prepare(request);
  }

  private pictures(lease: Lease): PrepareRequest['pictures'] {
    const { job } = this.parts;
    const training = lease.unit.work?.$case === 'training';
    if (job.cluster.featureCache === 'off' || (training && job.augmentation.enabled)) return 'all';
    return training && this.announced?.phase === Phase.PHASE_JOINT ? 'all' : 'unless-cached';
  }

  private async computeUnits(shift: Shift): Promise<Departure> {
    const { held, version } = shift;
    for (;;) {
      const seen = this.bell.rung;
      if (this.departure !== null) return this.departure;
      const current = this.announced;
      if (current?.id !== undefined) this.dropStale(held, current.id);
      if (this.draining) for (const unit of held.waiting) held.giveBack(unit, 'the worker leaves');
      if (this.draining && held.settling === 0) return 'drained';
      if (current !== null && !this.draining && !version.isOf(current.id)) {
        await this.takeVersion(shift, current).catch((error: unknown) => this.meetAbsence(error, current));
        continue;
      }
      const next = current === null ? undefined : held.waiting.find((unit) => isDue(unit.lease.unit.id, current));
      if (current === null || next === undefined) {
        this.stateNow = this.draining ? 'draining' : 'waiting';
        const cause = held.waiting.length > 0 ? 'parameters' : 'unit';
        await this.timed(cause, this.bell.after(seen));
        continue;
      }
      this.stateNow = 'computing';
      this.computing = true;
      held.begin(next);
      this.bell.ring();
      try {
        await this.compute(next, current, shift);
      } catch (error) {
        this.fail(next, error, shift);
      } finally {
        this.computing = false;
      }
    }
  }

  private dropStale(held: HeldUnits, current: VersionId): void {
    for (const unit of held.waiting) {
      const { lineage, step } = unit.lease.unit.id;
      const stale = lineage < current.lineage || (lineage === current.lineage && step < current.step);
      if (stale) held.drop(unit, 'stale');
    }
  }

  private async takeVersion({ version, canary }: Shift, wanted: Version): Promise<void> {
    const { job, metrics, engine, input, rules } = this.parts;
    const began = performance.now();
    await this.timed('parameters', version.take(wanted));
    metrics.series.version.set(wanted.id?.step ?? 0);
    metrics.series.exchange.observe({ direction: 'pull' }, (performance.now() - began) / 1000);

    const { featureCache } = job.cluster;
    if (featureCache === 'off') return;
    if (wanted.phase === Phase.PHASE_JOINT || !version.encoderStands) {
      input.useCache(null);
      return;
    }
    if (await canary.check({ kind: 'features' }, null)) await version.apply();
    const key = createHash('sha256')
      .update(version.encoderSha256())
      .update(canary.hashOf({ kind: 'features' }))
      .update(JSON.stringify([engine.fingerprint, rules.imageSize, rules.resized, 'tensorflow jpeg, central crop']))
      .digest('hex');
    input.useCache(
      featureCache === 'memory'
        ? { kind: 'memory', key }
        : { kind: 'disk', key, folder: join(cacheFolder(), 'features') },
    );
  }

  /** The version is current no more, or the coordinator is gone: the session will say what is to be done. */
  private async meetAbsence(error: unknown, wanted: Version): Promise<void> {
    const gone = error instanceof ShowtellError && error.code === 'parameters/version-gone';
    if (!gone && !isOutOfReach(error)) throw error;
    this.parts.log.info('a version could not be read', { step: wanted.id?.step ?? 0, error });
    const seen = this.bell.rung;
    if (this.announced === wanted && this.departure === null) await this.bell.after(seen, pollMs);
  }

  private async compute(unit: HeldUnit, version: Version, shift: Shift): Promise<void> {
    const { metrics } = this.parts;
    const prepared = await this.timed('data', unit.prepared);
    metrics.series.decode.observe(prepared.seconds);
    metrics.series.images.inc({ source: 'decoded' }, prepared.imageOf.length);
    metrics.series.images.inc({ source: 'feature-cache' }, prepared.places.length - prepared.imageOf.length);
    for (const { place, reason } of prepared.skipped) {
      metrics.series.corruptRecords.inc({ kind: 'undecodable' });
      this.parts.log.warn('a record is skipped', { unit: nameOf(unit.lease.unit.id), place, reason });
    }
    const { work } = unit.lease.unit;
    if (work?.$case === 'evaluation') await this.evaluate(unit, work.value, prepared, version, shift);
    else await this.train(unit, prepared, version, shift);
    this.unitsDone++;
    this.unitsOfStep++;
  }

  private async train(unit: HeldUnit, given: PreparedUnit, version: Version, shift: Shift): Promise<void> {
    const { engine, metrics } = this.parts;
    const phase: TrainingPhase = version.phase === Phase.PHASE_JOINT ? 'joint' : 'decoder-only';
    let prepared = given;
    if (phase === 'joint' && prepared.imageOf.length < prepared.places.length)
      prepared = await this.timed('data', this.prepare(unit.lease, 'all'));
    const { captions, places, skipped } = prepared;
    const B = places.length;
    const buffers = await shift.buffers.take(phase === 'joint');
    let result: StepResult = { lossSum: 0, tokens: 0, words: new Int32Array() };
    let computeSeconds = 0;
    try {
      if (B > 0) {
        const tokens = captions.mask.reduce((sum, counts) => sum + counts, 0);
        await this.ensure(shift, { kind: 'train', phase, B, T: captions.T, tokens }, buffers);
        if (phase === 'decoder-only' && prepared.imageOf.length > 0)
          await this.ensure(shift, { kind: 'features' }, buffers);
        const began = performance.now();
        const features = phase === 'joint' ? null : await this.features(prepared);
        result = await trainUnit(engine, prepared, phase, features, buffers);
        computeSeconds = (performance.now() - began) / 1000;
        this.seconds.compute += computeSeconds;
        metrics.series.compute.observe({ kind: 'train', phase }, computeSeconds);
      }
    } catch (error) {
      shift.buffers.giveBack(buffers);
      throw error;
    }
    void this.push(unit, version, { phase, B, skipped, result, computeSeconds, buffers }, shift);
  }

  /** Sends a gradient while the next unit is computed, and settles the unit by the verdict. */
  private async push(unit: HeldUnit, version: Version, trained: TrainedUnit, shift: Shift): Promise<void> {
    const { metrics, log } = this.parts;
    const { phase, B, skipped, result, computeSeconds, buffers } = trained;
    const { id } = unit.lease.unit;
    const began = performance.now();
    try {
      const values = buffers.embeddingRows.subarray(0, result.words.length * this.parts.rules.dropout.embedding);
      const { verdict, detail } = await shift.member.parameters.push({
        unit: id,
        version: version.id as VersionId,
        phase: version.phase,
        examples: B,
        tokens: result.tokens,
        lossSum: result.lossSum,
        skipped: skipped.map(({ place }) => place),
        computeSeconds,
        dense:
          phase === 'joint' && buffers.encoder !== undefined && buffers.statistics !== undefined
            ? { decoder: buffers.decoder, encoder: buffers.encoder, statistics: buffers.statistics }
            : { decoder: buffers.decoder },
        embeddingRows: { numbers: result.words, values },
      });
      metrics.series.exchange.observe({ direction: 'push' }, (performance.now() - began) / 1000);
      this.settled(unit, verdict, detail, B, shift);
    } catch (error) {
      log.warn('a gradient could not be sent', { unit: nameOf(id), error });
      shift.held.giveBack(unit, 'its gradient could not be sent');
    } finally {
      shift.buffers.giveBack(buffers);
      this.bell.ring();
    }
  }

  private async evaluate(
    unit: HeldUnit,
    work: EvaluationWork,
    prepared: PreparedUnit,
    version: Version,
    shift: Shift,
  ): Promise<void> {
    const { engine, job, metrics, vocabulary } = this.parts;
    const B = prepared.places.length;
    const records = work.records.length;
    const captioning = work.kind === EvaluationKind.EVALUATION_KIND_CAPTIONS;
    const { beam, maxLength, lengthNormalization } = job.evaluation;
    if (B > 0) {
      if (prepared.imageOf.length > 0) await this.ensure(shift, { kind: 'features' }, null);
      await this.ensure(
        shift,
        captioning ? { kind: 'decode', k: beam } : { kind: 'evaluate', B, T: prepared.captions.T },
        null,
      );
    }
    const began = performance.now();
    const features = await this.features(prepared);
    const options = { vocabulary, width: beam, maxLength, lengthNormalization };
    const results: RecordEvaluation[] = captioning
      ? await evaluateCaptions(engine, prepared, features, records, options)
      : await evaluateLosses(engine, prepared, features, records);
    const seconds = (performance.now() - began) / 1000;
    this.seconds.compute += seconds;
    metrics.series.compute.observe(
      { kind: 'evaluate', phase: version.phase === Phase.PHASE_JOINT ? 'joint' : 'decoder-only' },
      seconds,
    );
    const { id } = unit.lease.unit;
    const response = await new Promise<PushEvaluationResponse>((resolve, reject) => {
      shift.member.service.pushEvaluation(
        { unit: id, version: version.id, worker: this.parts.id, records: results },
        (error, answer) => (error === null ? resolve(answer) : reject(error)),
      );
    });
    this.settled(unit, response.verdict, response.detail, 0, shift);
  }

  private async features(prepared: PreparedUnit): Promise<Float32Array> {
    const { engine, input, job, rules } = this.parts;
    return featuresOfUnit(engine, prepared, rules.dropout.features, (pictures, features) => {
      const distorted = job.augmentation.enabled && prepared.dropout !== null;
      if (!distorted && job.cluster.featureCache !== 'off') input.keep(pictures, features);
    });
  }

  private settled(unit: HeldUnit, verdict: Verdict, detail: string, examples: number, { held }: Shift): void {
    const { metrics, log } = this.parts;
    const outcome = outcomes[verdict];
    metrics.series.units.inc({ outcome });
    if (verdict === Verdict.VERDICT_ACCEPTED) metrics.series.examples.inc(examples);
    else log.info('a result was not taken', { unit: nameOf(unit.lease.unit.id), verdict: outcome, detail });
    held.settle(unit);
  }

  /** A unit that this worker could not compute; what isn't the unit's fault ends the worker. */
  private fail(unit: HeldUnit, error: unknown, { member, held }: Shift): void {
    const { log, metrics } = this.parts;
    const code = error instanceof ShowtellError ? (error.code as string) : '';
    if (!unitFaults.includes(code)) {
      held.giveBack(unit, 'the worker fails');
      if (this.departure === null && !isOutOfReach(error)) throw error;
      log.warn('the coordinator could not be reached', { unit: nameOf(unit.lease.unit.id), error });
      return;
    }
    metrics.series.units.inc({ outcome: 'failed' });
    log.warn('a unit could not be computed', { unit: nameOf(unit.lease.unit.id), error });
    const text = error instanceof Error ? error.message : '';
    member.session.send({ $case: 'unitFailure', value: { unit: unit.lease.unit.id, code, text } });
    held.settle(unit);
  }

  private async ensure({ canary, version }: Shift, graph: CanaryGraph, into: GradientBuffers | null): Promise<void> {
    if (await canary.check(graph, into)) await version.apply();
  }

  private checkCanary(
    member: Membership,
    graph: string,
    sha256: string,
  ): Promise<{ accepted: boolean; expectedSha256: string }> {
    this.parts.log.debug('canary', { graph, sha256 });
    return new Promise<CheckCanaryResponse>((resolve, reject) => {
      member.service.checkCanary({ worker: this.parts.id, graph, sha256 }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }

  private async timed<T>(cause: 'data' | 'parameters' | 'unit', work: Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work;
    } finally {
      const seconds = (performance.now() - began) / 1000;
      this.seconds[cause] += seconds;
      this.parts.metrics.series.wait.inc({ cause }, seconds);
    }
  }

  private report(member: Membership): void {
    const { metrics } = this.parts;
    metrics.series.peakMemory.set(process.resourceUsage().maxRSS * 1024);
    member.session.send({
      $case: 'report',
      value: {
        residentBytes: process.memoryUsage.rss(),
        engineBytes: 0,
        unitsDone: this.unitsDone,
        computeSeconds: this.seconds.compute,
        waitDataSeconds: this.seconds.data,
        waitParametersSeconds: this.seconds.parameters,
      },
    });
  }
}

/** What belongs to one membership. */
interface Shift {
  readonly member: Membership;
  readonly held: HeldUnits;
  readonly version: HeldVersion;
  readonly buffers: GradientBufferPool;
  readonly canary: Canary;
}

interface TrainedUnit {
  readonly phase: TrainingPhase;
  readonly B: number;
  readonly skipped: PreparedUnit['skipped'];
  readonly result: StepResult;
  readonly computeSeconds: number;
  readonly buffers: GradientBuffers;
}

/** Whether a call failed for want of a coordinator; the session's end says so too, a moment later. */
function isOutOfReach(error: unknown): boolean {
  return isTransient(error) || (error as Partial<ServiceError> | null)?.code === status.CANCELLED;
}

/** Reported against the unit; three of them stop the run with its records named. */
const unitFaults: readonly string[] = ['data/record-corrupt', 'file/missing', 'engine/out-of-memory', 'engine/failed'];

const outcomes: Record<Verdict, string> = {
  [Verdict.VERDICT_UNSPECIFIED]: 'invalid',
  [Verdict.VERDICT_ACCEPTED]: 'accepted',
  [Verdict.VERDICT_DUPLICATE]: 'duplicate',
  [Verdict.VERDICT_STALE]: 'stale',
  [Verdict.VERDICT_INVALID]: 'invalid',
};

/** Whether a unit is to be computed with this version; until its phase is decided, only evaluations are. */
function isDue(unit: UnitId, { id, phase }: Version): boolean {
  if (id === undefined || unit.lineage !== id.lineage || unit.step !== id.step) return false;
  return unit.evaluation || phase !== Phase.PHASE_UNSPECIFIED;
}

function nameOf({ lineage, step, index, attempt, evaluation }: UnitId): string {
  return `${evaluation ? 'evaluation' : 'step'} ${step} unit ${index}, lineage ${lineage}, attempt ${attempt}`;
}
