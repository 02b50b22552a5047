import { hostname } from 'node:os';
import type { NatsConnection } from 'nats';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { UnitQueuePublisher } from '@showtell/shared/bus/unit-queue.js';
import type { Dataset } from '@showtell/shared/data/dataset.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  Command_Kind,
  ParameterServiceService,
  Verdict,
  type GradientHeader,
  type ParameterServiceServer,
  type Version,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Job } from '@showtell/shared/job/job.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import { listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import type { Logger } from '@showtell/shared/service/log.js';
import { bytesOf, dtypeOf, gradientBody, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import type { SegmentName } from '@showtell/shared/tensors/layout.js';
import { version } from '@showtell/shared/version.js';
import { Canaries } from './canaries.js';
import { CheckpointStore } from './checkpoints/checkpoint-store.js';
import { answerCommands } from './commands.js';
import type { Control } from './control.js';
import { Dispatcher } from './dispatcher.js';
import { EvaluationRound } from './evaluation/evaluation-round.js';
import { Evaluation } from './evaluation/evaluation.js';
import { imagesFrom, saveEvaluation } from './evaluation/samples.js';
import { Journal } from './journal.js';
import { openCoordinatorMetrics } from './metrics.js';
import { modelParameters } from './model-parameters.js';
import { observe } from './observe.js';
import { ParameterServer } from './parameter-server/parameter-server.js';
import { parameterHandlers } from './parameter-server/service.js';
import type { PushVerdict } from './parameter-server/verdict.js';
import { isDecisionStep, totalSteps } from './phases/switch.js';
import type { Generation, RunFolder } from './run-folder.js';
import { run, type RunEvent } from './run.js';
import { restoreAtMost, saveCheckpoint, startingPoint } from './starting-point.js';
import { StatusBoard } from './status.js';
import { StepAccount } from './step-account.js';
import { Workers } from './workers.js';

export interface CoordinatorOptions {
  readonly folder: RunFolder;
  readonly generation: Generation;
  readonly job: Job;
  readonly dataset: Dataset;
  readonly natsUrl: string;
  /** Address that workers reach; 0 takes a free port. */
  readonly host: string;
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Folder for exchange through shared memory; null: by gRPC alone. */
  readonly sharedMemory: string | null;
  readonly log: Logger;
}

/** How long a session, a call or the queue may take to end at the close. */
const closeMs = 3_000;
/** How often unpublished offers, a newer generation and a stall are looked for. */
const watchMs = 1_000;
const leaseCheckMs = 500;
/** Workers report every 2 s; one that missed three times stands still, however short the lease. */
const reportsMissedMs = 7_000;
/** A unit without a known holder is offered again this long after a worker was lost. */
const orphanMs = 500;

/**
 * One coordinator's life: claims what the run's folder holds, opens the parameter server, queue and service, takes the
 * run's steps, and closes everything in reverse, however it ends.
 */
export async function* coordinate(options: CoordinatorOptions, control: Control): AsyncGenerator<RunEvent> {
  const { folder, generation, job, dataset, log } = options;
  const identity = folder.identity();
  const metrics = openCoordinatorMetrics();
  const { series } = metrics;

  using journal = Journal.open(folder.at('journal.jsonl'), () => generation.assertCurrent());
  await using checkpoints = CheckpointStore.open(folder.at('checkpoints'), {
    retention: { keepLast: job.checkpoints.keepLast, keepBest: job.checkpoints.keepBest },
    onDamaged: (path, error) => log.warn('a damaged checkpoint is passed over', { path, error }),
  });
  const parameters = modelParameters(job);
  const start = await startingPoint({
    job,
    identity,
    journal,
    checkpoints,
    parameters,
    log,
  });
  journal.append({
    type: 'generation',
    generation: generation.number,
    fromStep: start.resumed ? start.state.step : null,
  });
  await using account = await StepAccount.open(folder.at('steps.jsonl'), start.state.step, (error) =>
    log.error('steps.jsonl could not be written and has gaps', { error }),
  );

  const evaluation = await Evaluation.open(dataset, job);
  await using server = await ParameterServer.open({
    ...parameters,
    job,
    state: {
      ...start.state,
      phase: isDecisionStep(job, start.state) ? null : start.state.phase,
      parameters: start.parameters,
      optimizer: start.optimizer,
    },
    run: identity.run,
    generation: generation.number,
    threads: job.cluster.parameterThreads,
    sharedMemory: options.sharedMemory,
    onNotice: (text) => log.info(text),
  });

  let onReconnected = (): void => undefined;
  const bus = await connectBus({
    servers: [options.natsUrl],
    name: `showtell coordinator ${identity.run}`,
    onState: (state) => {
      log.warn(`the broker's connection: ${state.type}`);
      if (state.type === 'lost')
        control.fail(new ShowtellError('bus/unreachable', { servers: options.natsUrl }, { cause: state.cause }));
      if (state.type === 'reconnected') onReconnected();
    },
  });
  await using _bus = { [Symbol.asyncDispose]: () => closeBus(bus) };
  const queue = await UnitQueuePublisher.open(bus, {
    run: identity.run,
    generation: generation.number,
    leaseMs: job.cluster.leaseSeconds * 1000,
  });
  let isOver = false;
  /** Set while the broker may lack what was published. */
  let brokerWasAway = false;
  const guarded = (work: () => Promise<void>): void => {
    if (isOver) return;
    work().catch((error: unknown) => log.error('something went wrong beside the run', { error }));
  };
  const restoreQueue = async (): Promise<void> => {
    if (!brokerWasAway || bus.isClosed()) return;
    brokerWasAway = false;
    try {
      if (await queue.ensure()) await dispatcher.republish();
      else await dispatcher.catchUp();
    } catch (error) {
      brokerWasAway = true;
      log.warn('the queue could not be restored yet', { error });
    }
  };
  const offerOrphansSoon = (step?: number): void => {
    if (!isOver) setTimeout(() => guarded(() => dispatcher.offerOrphans(step)), orphanMs).unref();
  };
  onReconnected = () => {
    brokerWasAway = true;
    guarded(restoreQueue);
  };

  const train = dataset.split('train');
  const plan = new Plan(job, train);
  const describe = (unit: Unit): string => {
    const records = unit.work?.value.records ?? [];
    const shards = unit.work?.$case === 'evaluation' ? dataset.split('val').shards : train.shards;
    return records.map(({ shard, offset }) => `${shards[shard]?.file ?? shard}@${offset}`).join(', ');
  };
  const dispatcher = new Dispatcher({
    run: identity.run,
    generation: generation.number,
    lookAhead: job.cluster.lookAhead,
    plan,
    queue,
    workers: () => workers,
    describe,
    onOfferedAgain: (unit, reason, detail) => {
      series.unitsRedelivered.inc({ reason });
      log.warn('a unit is offered again', { step: unit.step, unit: String(unit.index), reason, detail });
    },
    onBrokerAway: (error) => {
      if (isOver) return;
      brokerWasAway = true;
      log.warn('the broker did not take an offer; it is made again', { error });
    },
    onSuspectStep: offerOrphansSoon,
    onPoison: (error) => control.fail(error),
  });

  const workers: Workers = new Workers(
    { version, jobSha256: identity.jobSha256, datasetDigest: identity.datasetDigest },
    {
      run: identity.run,
      generation: generation.number,
      natsUrl: options.natsUrl,
      unitStream: queue.stream,
      sharedMemory: server.sharedMemory?.directory ?? '',
      sharedMemoryNonce: server.sharedMemory?.nonce ?? '',
    },
    {
      joined: (worker) => {
        series.workers.set(workers.list.length);
        log.info('a worker joined', { worker: worker.id, pid: worker.pid, host: worker.host, engine: worker.engine });
      },
      refused: (worker, reason, text) => {
        series.workersRefused.inc({ reason });
        log.warn('a worker was refused', { worker, reason: text });
      },
      left: (worker, died) => {
        series.workers.set(workers.list.length);
        const facts = { worker: worker.id, holding: worker.leases.size };
        if (died) log.warn('a worker died', facts);
        else log.info('a worker left', facts);
        guarded(() => server.forgetWorker(worker.id));
        guarded(() => dispatcher.workerLeft(worker, died));
        offerOrphansSoon();
      },
      leaseReturned: (_worker, { unit, reason, dropped }) => {
        // What is given back the broker offers by itself.
        if (!dropped) series.unitsRedelivered.inc({ reason: 'given-back' });
        const what = dropped ? 'a unit was dropped' : 'a unit was given back';
        log.debug(what, { step: unit.step, unit: String(unit.index), reason });
      },
      unitFailed: (worker, { unit, code, text }) => {
        log.warn('a unit failed', { step: unit.step, unit: String(unit.index), worker: worker.id, code, text });
        guarded(() => dispatcher.unitFailed(worker, unit, text));
      },
    },
  );
  server.onVersion((current) => {
    workers.announce(current);
    series.exchangeBytes.inc({ direction: 'sent' }, versionBytes(server, current) * workers.list.length);
  });
  workers.announce(server.version);
  control.onPause((paused) => workers.pause(paused));

  const canaries = new Canaries(journal, (worker, graph) => {
    series.workersRefused.inc({ reason: 'canary' });
    log.warn('a worker computes other numbers and was refused', { worker, graph });
  });
  const round = new EvaluationRound(evaluation, dispatcher, generation.number);
  let lastResult = Date.now();
  const onVerdict = (header: GradientHeader, { verdict, detail }: PushVerdict): void => {
    const { unit } = header;
    if (unit === undefined) return;
    lastResult = Date.now();
    switch (verdict) {
      case Verdict.VERDICT_ACCEPTED:
        dispatcher.settle(unit);
        series.exchangeBytes.inc({ direction: 'received' }, gradientBytes(server, header));
        noteSkipped(header);
        return;
      case Verdict.VERDICT_DUPLICATE:
        series.unitsDuplicate.inc();
        return;
      case Verdict.VERDICT_STALE:
        series.unitsStale.inc();
        return;
      case Verdict.VERDICT_INVALID: {
        series.unitsInvalid.inc();
        log.warn('a gradient was refused', {
          step: unit.step,
          unit: String(unit.index),
          worker: header.worker,
          detail,
        });
        guarded(() => dispatcher.refused(unit, header.worker, detail));
        return;
      }
      default:
        return;
    }
  };
  /** Records whose sound bytes do not decode are skipped, by name, up to the job's limit. */
  const noteSkipped = (header: GradientHeader): void => {
    const { unit, skipped } = header;
    if (unit === undefined || skipped.length === 0) return;
    const records = plan.units(unit.step)[unit.index]?.records ?? [];
    const names = skipped.map((i) => `${train.shards[records[i]?.shard ?? 0]?.file ?? ''}@${records[i]?.offset ?? 0}`);
    const before = new Set(journal.of('skipped').flatMap((entry) => entry.records));
    const fresh = names.filter((name) => !before.has(name));
    if (fresh.length === 0) return;
    journal.append({ type: 'skipped', step: unit.step, unit: unit.index, records: fresh });
    log.warn('records do not decode and are skipped', { records: fresh });
    const count = before.size + fresh.length;
    const limit = job.data.maxCorruptRecords;
    if (count > limit)
      control.fail(new ShowtellError('data/too-many-corrupt', { count, limit, records: [...before, ...fresh] }));
  };

  await using grpc = await serveGrpc(options, {
    ...parameterHandlers(server, (header, verdict) => {
      try {
        onVerdict(header, verdict);
      } catch (error) {
        // The journal took no entry: a worker can do nothing about that.
        control.fail(error as Error);
      }
    }),
    session: workers.serve,
    pushEvaluation: (call, respond) => {
      lastResult = Date.now();
      const { unit, worker } = call.request;
      const answer = round.push(call.request);
      if (answer.verdict === Verdict.VERDICT_INVALID && unit !== undefined) {
        log.warn('an evaluation was refused', { unit: String(unit.index), worker, detail: answer.detail });
        guarded(() => dispatcher.refused(unit, worker, answer.detail));
      }
      respond(null, answer);
    },
    checkCanary: (call, respond) => {
      try {
        respond(null, canaries.check(call.request));
      } catch (error) {
        control.fail(error as Error);
        respond(error as Error);
      }
    },
  });
  const { state } = start;
  await using http = await serveHttp({
    host: options.host,
    port: options.httpPort,
    registry: metrics.registry,
    ready: () => (bus.isClosed() ? 'the broker is away' : true),
    what: "the coordinator's metrics",
    setting: '--http-port',
  });
  series.runInfo.set({ run: identity.run, job: identity.jobSha256, version }, 1);
  series.generation.set(generation.number);
  series.lineage.set(state.lineage - 1);
  series.step.set(state.step);

  const board = new StatusBoard({
    run: identity.run,
    generation: generation.number,
    ...state,
    totalSteps: totalSteps(job, state),
    checkpointStep: start.resumed ? state.step : null,
  });
  answerCommands(
    bus,
    identity.run,
    control,
    () => board.status(workers.list, control.isPaused),
    (command) => journal.append({ type: 'command', command, step: board.status([], false).step }),
  );
  using _announced = folder.announceCoordinator({
    generation: generation.number,
    grpc: `${options.host === '0.0.0.0' ? hostname() : options.host}:${grpc.port}`,
    nats: options.natsUrl,
    http: http.url,
  });
  // The broker offers an expired lease again in the lane it came from; waiting workers, their hands full of what lies
  // ahead, ask the lane `now` alone.
  using _leases = every(leaseCheckMs, () => {
    const silentMs = Math.max(job.cluster.leaseSeconds * 1000, reportsMissedMs);
    for (const { worker, unit } of workers.expire(silentMs))
      guarded(() =>
        dispatcher.offerAgain(unit, 'worker-silent', `worker ${worker.id} has said nothing for ${silentMs / 1000} s`),
      );
  });
  using _watch = every(watchMs, () => {
    guarded(restoreQueue);
    try {
      generation.assertCurrent();
    } catch (error) {
      control.fail(error as Error);
    }
    if (control.isPaused) lastResult = Date.now();
    if (Date.now() - lastResult < job.cluster.stallSeconds * 1000) return;
    lastResult = Date.now();
    log.warn('no result for a while', {
      seconds: job.cluster.stallSeconds,
      missing: dispatcher.missing(),
      workers: workers.list.length,
    });
    // Its holder may be a straggler, or have lost it without a word: whichever result comes first counts.
    guarded(() => dispatcher.offerMissing());
  });

  const context = {
    job,
    identity,
    generation: generation.number,
    journal,
    checkpoints,
    parameters,
    canaries,
    server,
    assertCurrent: () => generation.assertCurrent(),
  };
  const parts = {
    job,
    generation: generation.number,
    journal,
    server,
    dispatcher,
    round,
    checkpoints,
    account,
    control,
    save: (at, pinned) => saveCheckpoint(context, at, pinned),
    restore: (toStep) => restoreAtMost(context, toStep),
    unigramLossPerWord: evaluation.unigramLossPerWord,
    assertCurrent: () => generation.assertCurrent(),
  } satisfies Parameters<typeof run>[0];
  // Else a fork that has no checkpoint of its own yet could go back to nothing but first values.
  if (!start.resumed && identity.forkedFrom !== null) await saveCheckpoint(context, state, true);
  let completed = false;
  try {
    for await (const event of run(parts, state)) {
      observe(event, metrics, log, train.count);
      board.follow(event);
      if (event.type === 'evaluation' && event.images !== null) {
        const { step, phase, scores, images } = event;
        const version = { step, phase, lineage: parts.server.version.id?.lineage ?? 1 };
        await saveEvaluation(folder.at('evaluations'), version, { scores, images }, imagesFrom(dataset.split('val')));
      }
      if (event.type === 'finished') completed = true;
      yield event;
    }
  } catch (error) {
    // Whoever listens to the control, as local workers do, is told of this end too.
    control.fail(error as Error);
    throw error;
  } finally {
    isOver = true;
    if (completed) workers.dismiss(Command_Kind.KIND_COMPLETE, 'the run is complete');
    else workers.dismiss(Command_Kind.KIND_STOP, 'the coordinator stops');
    await queue.remove().catch(() => undefined);
    workers.close();
  }
}

/** What one unit's gradient weighs in the wire's type. */
function gradientBytes({ layout, wire }: ParameterServer, { segments, embeddingRows }: GradientHeader): number {
  return gradientBody(layout, segments.filter(isSegmentName), embeddingRows.length, wire).bytes;
}

/** What a worker reads to go from the version before to this one. */
function versionBytes({ wire }: ParameterServer, { id, segments }: Version): number {
  const changed = segments.filter((segment) => segment.changedAtStep === id?.step && isSegmentName(segment.segment));
  return changed.reduce(
    (sum, { segment, elements }) => sum + elements * bytesOf(dtypeOf(segment as SegmentName, wire)),
    0,
  );
}

async function closeBus(bus: NatsConnection): Promise<void> {
  const closed = bus.drain().catch(() => bus.close());
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, closeMs).unref())]);
}

async function serveGrpc(
  { host, grpcPort }: CoordinatorOptions,
  handlers: ParameterServiceServer,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = newGrpcServer();
  server.addService(ParameterServiceService, handlers);
  const port = await listen(server, `${host}:${grpcPort}`).catch((cause: unknown) => {
    const facts = { what: 'the parameter server', host, port: grpcPort, setting: '--grpc-port' };
    throw new ShowtellError('service/port-taken', facts, { cause });
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      const force = setTimeout(() => server.forceShutdown(), closeMs);
      await closed;
      clearTimeout(force);
    },
  };
}

function every(ms: number, action: () => void): Disposable {
  const timer = setInterval(action, ms);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
