import { hostname } from 'node:os';
import { basename } from 'node:path';
import type { Dataset } from '@showtell/shared/data/dataset.js';
import { Command_Kind, type Version, type WorkerReport } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Job } from '@showtell/shared/job/job.js';
import { unitFields } from '@showtell/shared/plan/unit-fields.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import { tellExpiry } from '@showtell/shared/service/certificate-expiry.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import type { Logger } from '@showtell/shared/service/log.js';
import { processTls, type TlsFolder } from '@showtell/shared/security/tls-folder.js';
import { traced, type Tracing } from '@showtell/shared/service/tracing.js';
import { bytesOf, dtypeOf, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import type { SegmentName } from '@showtell/shared/tensors/layout.js';
import { version } from '@showtell/shared/version.js';
import { Beside } from './beside.js';
import { Broker } from './broker.js';
import { Canaries } from './canaries.js';
import { CheckpointStore } from './checkpoints/checkpoint-store.js';
import { answerCommands } from './commands.js';
import type { Control } from './control.js';
import { watchDisk } from './disk-space.js';
import { MountedDashboard } from './dashboard/mount.js';
import { nowOf } from './dashboard/run-now.js';
import { Dispatcher } from './dispatcher.js';
import { EvaluationRound } from './evaluation/evaluation-round.js';
import { EvaluationThread } from './evaluation/evaluation-thread.js';
import { imagesFrom, removeUnfinished, saveEvaluation } from './evaluation/samples.js';
import { Journal } from './journal.js';
import { limited } from './line-limit.js';
import { openCoordinatorMetrics, type CoordinatorMetrics } from './metrics.js';
import { modelParameters } from './model-parameters.js';
import { noteStart, observe } from './observe.js';
import { ParameterServer, type ParameterServerOptions } from './parameter-server/parameter-server.js';
import { isShardLost, RemoteShard } from './parameter-server/remote-shard.js';
import { totalSteps } from './phases/switch.js';
import { watchQueue } from './queue-depth.js';
import { Results } from './results.js';
import type { Generation, RunFolder } from './run-folder.js';
import { RunCommands } from './run-commands.js';
import { isDecisionDue, run, type RunEvent } from './run.js';
import { serveGrpc } from './serve-grpc.js';
import { Gate } from './security/gate.js';
import { noteRefusals } from './security/note-refusals.js';
import { answerStatus } from './served-status.js';
import { restoreAtMost, saveCheckpoint, startingPoint } from './starting-point.js';
import { StatusBoard } from './status.js';
import { StepAccount } from './step-account.js';
import { StepTraces } from './step-traces.js';
import { returnMs } from './unit-judge.js';
import { watch } from './watch.js';
import { offerOrphansSoon, orphanMs, workerEvents } from './worker-events.js';
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
  /** What the page asks for; null: nothing on loopback, and elsewhere there is no page. */
  readonly pageToken: string | null;
  /** Told once where the page, /metrics and so on are. */
  readonly onListening?: (url: string) => void;
  /** host:port of each shard of the parameter server; null: the parameters are here. */
  readonly shards?: readonly string[] | null;
  /** Told what is waited for, and why, when that takes long; the log says so besides. */
  readonly onWait?: (text: string) => void;
  /** Folder for exchange through shared memory; null: by gRPC alone. */
  readonly sharedMemory: string | null;
  readonly log: Logger;
  /** Where the run is told to Prometheus; by default in series of its own. */
  readonly metrics?: CoordinatorMetrics;
  /** By default nothing is traced. */
  readonly tracing?: Tracing;
  /** What gRPC and NATS are secured with; by default what the process was told to use, null: nothing. */
  readonly tls?: TlsFolder | null;
}

/**
 * One coordinator's life: claims what the run's folder holds, opens the parameter server, queue and service, takes the
 * run's steps, and closes everything in reverse, however it ends.
 */
export async function* coordinate(options: CoordinatorOptions, control: Control): AsyncGenerator<RunEvent> {
  const { folder, generation, job, dataset, log } = options;
  const identity = folder.identity();
  const { metrics = openCoordinatorMetrics(), tls = processTls() } = options;
  const { series } = metrics;
  using _expiry = tellExpiry(series.certificateExpiry, tls);
  const traces = new StepTraces(options.tracing, { run: identity.run, generation: generation.number });
  using _traces = { [Symbol.dispose]: () => traces.abandon() };

  using journal = Journal.open(folder.at('journal.jsonl'), () => generation.assertCurrent());
  await using checkpoints = CheckpointStore.open(folder.at('checkpoints'), {
    retention: { keepLast: job.checkpoints.keepLast, keepBest: job.checkpoints.keepBest },
    onDamaged: (path, error) => log.warn('a damaged checkpoint is passed over', { path, error }),
    onNotRemoved: (detail) => log.warn('old checkpoints could not be removed', { detail }),
  });
  await removeUnfinished(folder.at('evaluations'));
  const parameters = modelParameters(job);
  const start = await startingPoint({ job, identity, journal, checkpoints, parameters, log });
  journal.append({
    type: 'generation',
    generation: generation.number,
    fromStep: start.resumed ? start.state.step : null,
  });
  await using account = await StepAccount.open(
    folder.at('steps.jsonl'),
    start.state.step,
    (error) => log.error('steps.jsonl cannot be written; its lines wait until it can', { error }),
    () => generation.assertCurrent(),
  );

  await using evaluation = await EvaluationThread.open(dataset.location, job);
  await using server = await openServer(control, {
    ...parameters,
    job,
    state: {
      ...start.state,
      phase: isDecisionDue({ job, journal }, start.state) ? null : start.state.phase,
      parameters: start.parameters,
      optimizer: start.optimizer,
    },
    run: identity.run,
    generation: generation.number,
    threads: job.cluster.parameterThreads,
    sharedMemory: options.sharedMemory,
    onNotice: (text) => log.info(text),
    traces,
    divided:
      options.shards == null
        ? null
        : dividedOver(options.shards, identity.jobSha256, control, (text) => {
            log.warn(text);
            options.onWait?.(text);
          }),
  });
  if (server === null) {
    yield { type: 'stopped', step: start.state.step };
    return;
  }

  const beside = new Beside(log);
  await using broker = await Broker.open({
    url: options.natsUrl,
    run: identity.run,
    generation: generation.number,
    leaseMs: job.cluster.leaseSeconds * 1000,
    tls,
    beside,
    log,
    dispatcher: () => dispatcher,
    onLost: (error) => control.fail(error),
  });

  const train = dataset.split('train');
  const plan = new Plan(job, train);
  const describe = (unit: Unit): string => {
    const records = unit.work?.value.records ?? [];
    const shards = unit.work?.$case === 'evaluation' ? dataset.split('val').shards : train.shards;
    return records.map(({ shard, offset }) => `${shards[shard]?.file ?? shard}@${offset}`).join(', ');
  };
  // What workers cause: how much that is, is theirs to say.
  const workersLog = limited(log, 10);
  const dispatcher: Dispatcher = new Dispatcher({
    run: identity.run,
    jobSha256: identity.jobSha256,
    generation: generation.number,
    isAsynchronous: job.asynchronous !== null,
    plan,
    queue: broker.queue,
    traces,
    workers: () => workers,
    describe,
    onOfferedAgain: (unit, reason, detail) => {
      // That was counted when it was given back.
      if (reason !== 'given-back') series.unitsRedelivered.inc({ reason });
      workersLog.warn('a unit is offered again', { ...unitFields(unit), reason, detail });
    },
    onBrokerAway: (error) => broker.noteAway(error),
    onSuspectStep: (step) => offerOrphansSoon(beside, dispatcher, step),
    soon: (what, work) => beside.startIn(orphanMs, what, work),
    later: (what, work) => beside.startIn(returnMs, what, work),
    onPoison: (error) => control.fail(error),
  });

  const onRefused = noteRefusals(log, series);
  const gate = new Gate({
    ...{ run: identity.run, jobSha256: identity.jobSha256, generation: generation.number },
    ...{ secured: tls !== null, onRefused },
    onSessions: (open) => beside.start(() => server.setSessions(open)),
  });
  const workers: Workers = new Workers(
    { version, jobSha256: identity.jobSha256, datasetDigest: identity.datasetDigest },
    {
      run: identity.run,
      jobSha256: identity.jobSha256,
      generation: generation.number,
      natsUrl: options.natsUrl,
      unitStream: broker.queue.stream,
      sharedMemory: server.sharedMemory?.directory ?? '',
      sharedMemoryNonce: server.sharedMemory?.nonce ?? '',
      shards: server.shards,
    },
    workerEvents({ series, log: workersLog, beside, dispatcher, server, workers: () => workers }),
    gate,
  );
  server.onVersion((current) => {
    workers.announce(current);
    const bytes = versionBytes(server, current);
    for (const { report } of workers.list)
      series.exchangeBytes.inc({ direction: 'sent', way: wayOf(report, server) }, bytes);
  });
  workers.announce(server.version);
  control.onPause((paused) => workers.pause(paused));
  series.paused.set(control.isPaused ? 1 : 0);
  control.onPauseAsked((paused) => series.paused.set(paused ? 1 : 0));

  const canaries = new Canaries(journal, (worker, graph) => {
    series.workersRefused.inc({ reason: 'canary' });
    workersLog.warn('a worker computes other numbers and was refused', { worker, graph });
  });
  const round = new EvaluationRound(evaluation, dispatcher, generation.number, traces);
  const results = new Results({
    ...{
      job,
      dataset,
      plan,
      journal,
      server,
      dispatcher,
      round,
      canaries,
      series,
      log: workersLog,
      beside,
      tracing: traces.tracing,
      headerFault: gate.headerFault,
    },
    onFault: (error) => control.fail(error),
  });

  const onRenewed = (error: Error | null): void => {
    if (error === null) log.info('new certificates are in use');
    else log.error('new certificates cannot be used; those of before stay', { error });
  };
  await using grpc = await serveGrpc(
    { host: options.host, port: options.grpcPort, tls, onRefused, onRenewed },
    { ...gate.guard(results.handlers), session: workers.serve },
    [gate.early()],
  );
  const { state } = start;
  const board = new StatusBoard({
    run: identity.run,
    generation: generation.number,
    ...state,
    totalSteps: totalSteps(job, state),
    checkpointStep: start.resumed ? state.step : null,
  });
  const status = () => board.status(workers.list, control.isPaused);
  const answer = answerStatus(status);
  let dashboard: MountedDashboard | null = null;
  await using http = await serveHttp({
    host: options.host,
    port: options.httpPort,
    registry: metrics.registry,
    ready: () => (broker.isThere ? true : 'the broker is away'),
    handle: (request, response) => answer(request, response) || (dashboard?.handle(request, response) ?? false),
    what: "the coordinator's metrics",
    setting: '--http-port',
  });
  noteStart(series, {
    ...{ job, state, journal, resumed: start.resumed, trainingPairs: train.count },
    info: { run: identity.run, job: identity.jobSha256, version },
    generation: generation.number,
  });
  // It stands for a run that is led: alerts ask for it.
  using _led = { [Symbol.dispose]: () => series.runInfo.reset() };

  const commands = new RunCommands({ job, control, journal, status });
  // Beyond loopback the page asks for the token that this needs; without one it shows nothing and steers nothing.
  const shown = { id: basename(folder.path), folder, now: async () => nowOf(status()), commands };
  await using page = new MountedDashboard({ runs: [shown], host: options.host, token: options.pageToken });
  dashboard = page;
  options.onListening?.(http.url);
  answerCommands(broker.bus, identity, commands, status);
  using _announced = folder.announceCoordinator({
    generation: generation.number,
    grpc: `${options.host === '0.0.0.0' ? hostname() : options.host}:${grpc.port}`,
    nats: options.natsUrl,
    http: http.url,
  });
  using _disk = watchDisk(folder.path, series);
  using _queue = watchQueue(broker.queue, series);
  using _watch = watch({ job, generation, control, dispatcher, workers, results, broker, beside, log });

  const context = {
    job,
    identity,
    generation: generation.number,
    journal,
    checkpoints,
    parameters,
    canaries,
    server,
    account,
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
    save: (at, pinned) => traced(traces.checkpoint(at.step, at.phase), () => saveCheckpoint(context, at, pinned)),
    restore: (toStep) => restoreAtMost(context, toStep),
    unigramLossPerWord: evaluation.unigramLossPerWord,
    assertCurrent: () => generation.assertCurrent(),
  } satisfies Parameters<typeof run>[0];
  // Else a fork that has no checkpoint of its own yet could go back to nothing but first values.
  if (!start.resumed && identity.forkedFrom !== null) await saveCheckpoint(context, state, true);
  let completed = false;
  let comesAgain = false;
  try {
    for await (const event of run(parts, state)) {
      observe(event, metrics, log, train.count);
      board.follow(event);
      if (event.type === 'evaluation' && event.images !== null) {
        const { step, phase, scores, images } = event;
        const version = { step, phase, lineage: parts.server.version.id?.lineage ?? 1 };
        // They are for people: for want of room for them no run ends.
        await saveEvaluation(
          folder.at('evaluations'),
          version,
          { scores, images },
          imagesFrom(dataset.split('val')),
        ).catch((error: unknown) =>
          log.error("an evaluation's captions could not be kept; training goes on", { step, error }),
        );
      }
      if (event.type === 'finished') completed = true;
      yield event;
    }
  } catch (error) {
    comesAgain = isShardLost(error);
    // Whoever listens to the control, as local workers do, is told of this end too.
    control.fail(error as Error);
    throw error;
  } finally {
    beside.end();
    if (completed) workers.dismiss(Command_Kind.KIND_COMPLETE, 'the run is complete');
    // Else it comes again in a moment, and workers look for it.
    else if (!comesAgain) workers.dismiss(Command_Kind.KIND_STOP, 'the coordinator stops');
    await broker.queue.remove().catch(() => undefined);
    workers.close();
  }
}

/** @returns null when the run was stopped while a shard was waited for: what it has is on disk */
async function openServer(control: Control, options: ParameterServerOptions): Promise<ParameterServer | null> {
  try {
    return await ParameterServer.open(options);
  } catch (error) {
    if (isShardLost(error) && control.interruption?.type === 'stop') return null;
    throw error;
  }
}

function dividedOver(
  shards: readonly string[],
  jobSha256: string,
  control: Control,
  onWait: (text: string) => void,
): NonNullable<ParameterServerOptions['divided']> {
  return {
    shards: shards.length,
    open: (part) =>
      RemoteShard.open(
        shards[part.shard] ?? '',
        { ...part, jobSha256 },
        (error) => control.fail(error),
        () => control.interruption === null,
        onWait,
      ),
  };
}

/** How a worker reads versions; until it has said so, as it will if it is on this host. */
function wayOf(report: WorkerReport | null, { isShared }: ParameterServer): 'shared-memory' | 'grpc' {
  if (report === null || report.exchange === '') return isShared ? 'shared-memory' : 'grpc';
  return report.exchange === 'grpc' ? 'grpc' : 'shared-memory';
}

/** What a worker reads to go from the version before to this one. */
function versionBytes({ wire }: ParameterServer, { id, segments }: Version): number {
  const changed = segments.filter((segment) => segment.changedAtStep === id?.step && isSegmentName(segment.segment));
  return changed.reduce(
    (sum, { segment, elements }) => sum + elements * bytesOf(dtypeOf(segment as SegmentName, wire)),
    0,
  );
}
