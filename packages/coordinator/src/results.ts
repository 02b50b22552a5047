import type { Dataset } from '@showtell/shared/data/dataset.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  Verdict,
  type GradientHeader,
  type ParameterServiceServer,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Plan } from '@showtell/shared/plan/plan.js';
import { unitFields } from '@showtell/shared/plan/unit-fields.js';
import type { Tracing } from '@showtell/shared/service/tracing.js';
import { gradientBody, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import type { Beside } from './beside.js';
import type { Canaries } from './canaries.js';
import type { Dispatcher } from './dispatcher.js';
import type { EvaluationRound } from './evaluation/evaluation-round.js';
import type { Journal } from './journal.js';
import type { Lines } from './line-limit.js';
import type { CoordinatorMetrics } from './metrics.js';
import type { ParameterServer } from './parameter-server/parameter-server.js';
import { parameterHandlers, type HeaderCheck } from './parameter-server/service.js';
import type { PushVerdict } from './parameter-server/verdict.js';

export interface ResultsParts {
  readonly job: Job;
  readonly dataset: Dataset;
  readonly plan: Plan;
  readonly journal: Journal;
  readonly server: ParameterServer;
  readonly dispatcher: Dispatcher;
  readonly round: EvaluationRound;
  readonly canaries: Canaries;
  readonly series: CoordinatorMetrics['series'];
  readonly log: Lines;
  readonly beside: Beside;
  readonly tracing: Tracing;
  /** Who may send what. */
  readonly headerFault: HeaderCheck;
  /** The run cannot go on. */
  readonly onFault: (error: Error) => void;
}

/** What workers send back, and what follows from it: gradients by their verdicts, evaluations, canaries. */
export class Results {
  #lastAt = performance.now();

  constructor(private readonly parts: ResultsParts) {}

  /** When the last one that counts came, by `performance.now()`. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** The gRPC service but for its sessions. */
  get handlers(): Pick<ParameterServiceServer, 'pullVersion' | 'pushGradient' | 'pushEvaluation' | 'checkCanary'> {
    const { server, canaries, onFault, tracing, headerFault } = this.parts;
    const onVerdict = (header: GradientHeader, verdict: PushVerdict): void => {
      try {
        this.#gradient(header, verdict);
      } catch (error) {
        // The journal took no entry: a worker can do nothing about that.
        onFault(error as Error);
      }
    };
    return {
      ...parameterHandlers(server, onVerdict, tracing, headerFault),
      pushEvaluation: (call, respond) => respond(null, this.#evaluation(call.request)),
      checkCanary: (call, respond) => {
        try {
          respond(null, canaries.check(call.request));
        } catch (error) {
          onFault(error as Error);
          respond(error as Error);
        }
      },
    };
  }

  #gradient(header: GradientHeader, { verdict, detail, counts }: PushVerdict): void {
    const { unit, worker } = header;
    if (unit === undefined) return;
    const { dispatcher, series, log, beside } = this.parts;
    switch (verdict) {
      case Verdict.VERDICT_ACCEPTED:
        dispatcher.settle(unit, worker);
        if (!counts) {
          series.unitsDuplicate.inc();
          log.info('a gradient that counts came again', { ...unitFields(unit), worker });
          return;
        }
        this.#lastAt = performance.now();
        series.exchangeBytes.inc(
          { direction: 'received', way: header.slot === '' ? 'grpc' : 'shared-memory' },
          this.#bytesOf(header),
        );
        this.#noteSkipped(header);
        return;
      case Verdict.VERDICT_DUPLICATE:
        series.unitsDuplicate.inc();
        log.info('a gradient of a unit that is counted', { ...unitFields(unit), worker, detail });
        beside.start(() => dispatcher.overtaken(unit, worker));
        return;
      case Verdict.VERDICT_STALE:
        series.unitsStale.inc();
        log.info('a gradient that is out of date', { ...unitFields(unit), worker, detail });
        beside.start(() => dispatcher.overtaken(unit, worker));
        return;
      case Verdict.VERDICT_INVALID:
        series.unitsInvalid.inc();
        log.warn('a gradient was refused', { ...unitFields(unit), worker, detail });
        beside.start(() => dispatcher.refused(unit, worker, detail));
        return;
      default:
        return;
    }
  }

  #evaluation(request: Parameters<EvaluationRound['push']>[0]): ReturnType<EvaluationRound['push']> {
    const { round, dispatcher, log, beside } = this.parts;
    const { unit, worker } = request;
    const answer = round.push(request);
    if (answer.verdict === Verdict.VERDICT_ACCEPTED) this.#lastAt = performance.now();
    if (answer.verdict === Verdict.VERDICT_INVALID && unit !== undefined) {
      log.warn('an evaluation was refused', { ...unitFields(unit), worker, detail: answer.detail });
      beside.start(() => dispatcher.refused(unit, worker, answer.detail));
    }
    const isLate = answer.verdict === Verdict.VERDICT_DUPLICATE || answer.verdict === Verdict.VERDICT_STALE;
    if (isLate && unit !== undefined) beside.start(() => dispatcher.overtaken(unit, worker));
    return answer;
  }

  /** Records whose sound bytes do not decode are skipped, by name, up to the job's limit. */
  #noteSkipped({ unit, skipped }: GradientHeader): void {
    if (unit === undefined || skipped.length === 0) return;
    const { job, dataset, plan, journal, log, onFault } = this.parts;
    const { shards } = dataset.split('train');
    const planned = plan.units(unit.step)[unit.index]?.records ?? [];
    const names = skipped.map((i) => `${shards[planned[i]?.shard ?? 0]?.file ?? ''}@${planned[i]?.offset ?? 0}`);
    const before = new Set(journal.of('skipped').flatMap((entry) => entry.records));
    const fresh = [...new Set(names)].filter((name) => !before.has(name));
    if (fresh.length === 0) return;
    journal.append({ type: 'skipped', step: unit.step, unit: unit.index, records: fresh });
    log.warn('records do not decode and are skipped', { ...unitFields(unit), records: fresh });
    const records = [...before, ...fresh];
    const limit = job.data.maxCorruptRecords;
    if (records.length > limit)
      onFault(new ShowtellError('data/too-many-corrupt', { count: records.length, limit, records }));
  }

  /** What one unit's gradient weighs in the wire's type. */
  #bytesOf({ segments, embeddingRows }: GradientHeader): number {
    const { layout, wire } = this.parts.server;
    return gradientBody(layout, segments.filter(isSegmentName), embeddingRows.length, wire).bytes;
  }
}
