import { hostname } from 'node:os';
import type { Dataset } from '@showtell/shared/data/dataset.js';
import { Command_Kind, type Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Job } from '@showtell/shared/job/job.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import type { Logger } from '@showtell/shared/service/log.js';
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
import { Dispatcher } from './dispatcher.js';
import { EvaluationRound } from './evaluation/evaluation-round.js';
import { EvaluationThread } from './evaluation/evaluation-thread.js';
import { imagesFrom, saveEvaluation } from './evaluation/samples.js';
import { Journal } from './journal.js';
import { openCoordinatorMetrics } from './metrics.js';
import { modelParameters } from './model-parameters.js';
import { observe } from './observe.js';
import { ParameterServer } from './parameter-server/parameter-server.js';
import { isDecisionStep, totalSteps } from './phases/switch.js';
import { Results } from './results.js';
import type { Generation, RunFolder } from './run-folder.js';
import { run, type RunEvent } from './run.js';
import { serveGrpc } from './serve-grpc.js';
import { answerStatus } from './served-status.js';
import { restoreAtMost, saveCheckpoint, startingPoint } from './starting-point.js';
import { StatusBoard } from './status.js';
import { StepAccount } from './step-account.js';
import { watch } from './watch.js';
import { offerOrphansSoon, workerEvents } from './worker-events.js';
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
  const start = await startingPoint({ job, identity, journal, checkpoints, parameters, log });
  journal.append({
    type: 'generation',
    generation: generation.number,
    fromStep: start.resumed ? start.state.step : null,
  });
  await using account = await StepAccount.open(folder.at('steps.jsonl'), start.state.step, (error) =>
    log.error('steps.jsonl could not be written and has gaps', { error }),
  );

  await using evaluation = await EvaluationThread.open(dataset.directory, job);
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

  const beside = new Beside(log);
  await using broker = await Broker.open({
    url: options.natsUrl,
    run: identity.run,
    generation: generation.number,
    leaseMs: job.cluster.leaseSeconds * 1000,
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
  const dispatcher: Dispatcher = new Dispatcher({
    run: identity.run,
    generation: generation.number,
    lookAhead: job.cluster.lookAhead,
    plan,
    queue: broker.queue,
    workers: () => workers,
    describe,
    onOfferedAgain: (unit, reason, detail) => {
      series.unitsRedelivered.inc({ reason });
      log.warn('a unit is offered again', { step: unit.step, unit: String(unit.index), reason, detail });
    },
    onBrokerAway: (error) => broker.noteAway(error),
    onSuspectStep: (step) => offerOrphansSoon(beside, dispatcher, step),
    onPoison: (error) => control.fail(error),
  });

  const workers: Workers = new Workers(
    { version, jobSha256: identity.jobSha256, datasetDigest: identity.datasetDigest },
    {
      run: identity.run,
      generation: generation.number,
      natsUrl: options.natsUrl,
      unitStream: broker.queue.stream,
      sharedMemory: server.sharedMemory?.directory ?? '',
      sharedMemoryNonce: server.sharedMemory?.nonce ?? '',
    },
    workerEvents({ series, log, beside, dispatcher, server, workers: () => workers }),
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
  const results = new Results({
    ...{ job, dataset, plan, journal, server, dispatcher, round, canaries, series, log, beside },
    onFault: (error) => control.fail(error),
  });

  await using grpc = await serveGrpc(options.host, options.grpcPort, { ...results.handlers, session: workers.serve });
  const { state } = start;
  const board = new StatusBoard({
    run: identity.run,
    generation: generation.number,
    ...state,
    totalSteps: totalSteps(job, state),
    checkpointStep: start.resumed ? state.step : null,
  });
  const status = () => board.status(workers.list, control.isPaused);
  await using http = await serveHttp({
    host: options.host,
    port: options.httpPort,
    registry: metrics.registry,
    ready: () => (broker.isThere ? true : 'the broker is away'),
    handle: answerStatus(status),
    what: "the coordinator's metrics",
    setting: '--http-port',
  });
  series.runInfo.set({ run: identity.run, job: identity.jobSha256, version }, 1);
  series.generation.set(generation.number);
  series.gradientClip.set(job.optimizer.clip);
  series.lineage.set(state.lineage - 1);
  series.step.set(state.step);
  if (start.resumed) series.checkpointStep.set(state.step);

  answerCommands(broker.bus, identity.run, control, status, (command) =>
    journal.append({ type: 'command', command, step: board.status([], false).step }),
  );
  using _announced = folder.announceCoordinator({
    generation: generation.number,
    grpc: `${options.host === '0.0.0.0' ? hostname() : options.host}:${grpc.port}`,
    nats: options.natsUrl,
    http: http.url,
  });
  using _disk = watchDisk(folder.path, series);
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
    beside.end();
    if (completed) workers.dismiss(Command_Kind.KIND_COMPLETE, 'the run is complete');
    else workers.dismiss(Command_Kind.KIND_STOP, 'the coordinator stops');
    await broker.queue.remove().catch(() => undefined);
    workers.close();
  }
}

/** What a worker reads to go from the version before to this one. */
function versionBytes({ wire }: ParameterServer, { id, segments }: Version): number {
  const changed = segments.filter((segment) => segment.changedAtStep === id?.step && isSegmentName(segment.segment));
  return changed.reduce(
    (sum, { segment, elements }) => sum + elements * bytesOf(dtypeOf(segment as SegmentName, wire)),
    0,
  );
}
