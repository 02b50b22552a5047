import type { ServerInterceptor, ServerReadableStream, ServerWritableStream } from '@grpc/grpc-js';
import { type GradientChunk, type GradientHeader, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type {
  AddUnitRequest,
  AddUnitResponse,
  AttendRequest,
  AttendResponse,
  ForgetWorkerRequest,
  Lead,
  OpenRequest,
  OpenResponse,
  ReadStateRequest,
  ReadStateResponse,
  SetSessionsRequest,
  ShardServiceServer,
  UpdateRequest,
} from '@showtell/shared/generated/showtell/v1/shards.js';
import { openWindow } from '@showtell/shared/job/asynchronous.js';
import { type Job, jobSchema } from '@showtell/shared/job/job.js';
import type { OnRefused } from '@showtell/shared/security/refusal.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Tracing } from '@showtell/shared/service/tracing.js';
import { sendToEnd } from '@showtell/shared/rpc/tensor-stream.js';
import { isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import { allocateSegments, type ParameterLayout } from '@showtell/shared/tensors/layout.js';
import { divideLayout } from '@showtell/shared/tensors/shards.js';
import { CallGuard, longestText } from '../security/call-guard.js';
import { early } from '../security/early-guard.js';
import { expectedBody } from './gradient-intake.js';
import { LeftGradients } from './left-gradients.js';
import { slotKinds } from './optimizer.js';
import type { VersionRef } from './parameter-shard.js';
import { segmentChunks } from './segment-chunks.js';
import { parameterHandlers, type ServedParameters } from './service.js';
import { Shard, type ShardOptions } from './shard.js';
import {
  answerWith,
  failureOf,
  phaseNameOf,
  receiveState,
  refusal,
  ringOf,
  sharedMemoryOf,
  unopened,
} from './shard-messages.js';
import type { ShardSeries } from './shard-metrics.js';
import { answer, judge, type PushVerdict } from './verdict.js';
import type { ParameterState, PinnedVersion } from './versions.js';

export interface ShardHostOptions {
  /** Folder for exchange on one host; null: by gRPC alone. */
  readonly sharedMemory: string | null;
  readonly series: ShardSeries;
  readonly parametersOf: (job: Job) => Pick<ShardOptions, 'specs'> & { readonly layout: ParameterLayout };
  readonly log: Logger;
  readonly tracing: Tracing;
  /** Whether callers show certificates. */
  readonly secured: boolean;
  readonly onRefused: OnRefused;
}

/** What is served of one run, from its coordinator's Open to its leaving. */
interface Served {
  readonly run: string;
  readonly jobSha256: string;
  readonly generation: number;
  /** Which part of how many. */
  readonly place: string;
  readonly job: Job;
  readonly shard: Shard;
  /** What the header of a gradient must be like. */
  readonly body: ReturnType<typeof expectedBody>;
  current: VersionRef;
  /** Lets in who is in session with the coordinator. */
  readonly calls: CallGuard;
  /** Gradients that may still count and the coordinator has not asked for: of each worker's units what it left last. */
  readonly left: LeftGradients;
  /** Coordinators that want to know of its end. */
  readonly attending: Set<ServerWritableStream<AttendRequest, AttendResponse>>;
}

/** What a shard knows of units that are applied as they come: which were, and which are open, is the coordinator's to know. */
const unknown = { applied: { has: () => false, by: () => null }, openUntil: Infinity };
/** A worker may come before the coordinator's word of its session. */
const patienceMs = 1_000;

/**
 * One shard of the parameter server, for `showtell ps`: it serves the run whose coordinator opens it, workers with its part
 * of versions and gradients. It decides nothing, and keeps nothing when it ends.
 */
export class ShardHost implements AsyncDisposable {
  #served: Served | null = null;
  #opening: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: ShardHostOptions) {}

  /** Whether a coordinator has opened it. */
  get isOpen(): boolean {
    return this.#served !== null;
  }

  /** For workers in session: PullVersion and PushGradient of the part. */
  get workerHandlers(): ReturnType<typeof parameterHandlers> {
    return {
      pullVersion: (call) => {
        const served = this.#served;
        if (served === null) call.emit('error', unopened());
        else this.#handlersOf(served).pullVersion(call);
      },
      pushGradient: (call, respond) => {
        const served = this.#served;
        // No verdict: the unit may well be wanted by a coordinator that opens it in a moment.
        if (served === null) respond(unopened());
        else this.#handlersOf(served).pushGradient(call, respond);
      },
    };
  }

  /** Turns calls of workers away before their first message. */
  get early(): ServerInterceptor {
    return early(() => this.#served?.calls ?? unopened());
  }

  #handlersOf(served: Served): ReturnType<typeof parameterHandlers> {
    const { calls, job } = served;
    const part: ServedParameters = {
      wire: job.wire.dtype,
      pinVersion: (id) => this.#pinVersion(served, id),
      push: (header, chunks) => this.#leave(served, header, chunks),
    };
    return calls.guard(parameterHandlers(part, undefined, this.options.tracing, calls.headerFault));
  }

  /** For the coordinator. */
  readonly handlers: ShardServiceServer = {
    open: (call, respond) => {
      const opened = this.#opening.then(() => this.#open(call));
      this.#opening = opened.catch(() => undefined);
      answerWith(respond, opened);
    },
    attend: (call) => this.#attend(call),
    addUnit: ({ request }, respond) => answerWith(respond, this.#add(request)),
    update: ({ request }, respond) => answerWith(respond, this.#update(request)),
    readState: (call) => void this.#readState(call),
    setSessions: ({ request }, respond) =>
      answerWith(
        respond,
        this.#opening.then(() => this.#setSessions(request)),
      ),
    forgetWorker: ({ request }, respond) => answerWith(respond, this.#forgetWorker(request)),
    leave: ({ request }, respond) => answerWith(respond, this.#leaveRun(request.lead)),
  };

  async #open(call: ServerReadableStream<OpenRequest, OpenResponse>): Promise<OpenResponse> {
    const messages = call[Symbol.asyncIterator]() as AsyncIterator<OpenRequest, undefined>;
    const first = await messages.next();
    if (first.done === true || first.value.message?.$case !== 'header') throw refusal('Open begins with its header');
    const { value: header } = first.value.message;
    const { run, jobSha256, generation } = this.#admit(header.lead);
    const job = jobSchema.parse(JSON.parse(header.job));
    const { specs, layout } = this.options.parametersOf(job);
    const part = divideLayout(layout, header.shards)[header.shard];
    if (part === undefined) throw refusal(`there is no shard ${header.shard} of ${header.shards}`);
    const place = `shard ${header.shard + 1} of ${header.shards}`;
    const before = this.#served;
    // Of another generation it may be another.
    if (before?.generation === generation && before.place !== place)
      throw refusal(`it is ${before.place} already, and cannot be ${place} too; give each an address of its own`);
    const parameters = allocateSegments(part.layout);
    const slots = Array.from({ length: Math.min(header.slots, slotKinds[job.optimizer.name].length) }, () =>
      allocateSegments(part.layout),
    );
    await receiveState(messages, [parameters, ...slots]);
    const state: ParameterState = {
      ...{ step: header.step, lineage: header.lineage, phase: null, parameters },
      optimizer: header.slots === 0 ? null : { name: job.optimizer.name, slots, powers: header.powers ?? null },
    };
    const { sharedMemory, log, secured, onRefused } = this.options;
    const ring = ringOf(header.ring);
    const current = { step: header.step, lineage: header.lineage };
    const served = this.#served;
    if (served?.generation === generation) {
      served.left.forget();
      await served.shard.replace(state, ring);
      served.current = current;
      this.#noteOpen(served);
      return sharedMemoryOf(served.shard);
    }
    await this.#close();
    const { parameterThreads: threads } = job.cluster;
    const onNotice = (text: string): void => log.info(text);
    const shard = await Shard.open({
      ...{ part, specs, job, run, generation, state, ring, threads, onNotice },
      sharedMemory: job.cluster.sharedMemory ? sharedMemory : null,
    });
    this.#served = {
      run,
      jobSha256,
      generation,
      place,
      job,
      shard,
      body: expectedBody(job, layout),
      current,
      calls: new CallGuard({ run, jobSha256, secured, onRefused, patienceMs }),
      left: new LeftGradients(job.asynchronous === null ? job.batch.units : openWindow(job.asynchronous) + 1),
      attending: new Set(),
    };
    this.#noteOpen(this.#served);
    log.info('opened', { run, generation, step: header.step, shard: header.shard + 1, shards: header.shards });
    return sharedMemoryOf(shard);
  }

  #noteOpen({ shard, current }: Served): void {
    const { series } = this.options;
    series.open.set(1);
    series.parameters.set(shard.bytes);
    series.version.set(current.step);
  }

  /** @throws when another run is served, or a newer coordinator of this one */
  #admit(lead: Lead | undefined): Lead {
    const served = this.#served;
    if (lead === undefined || lead.run === '') throw refusal('the request names no run');
    if (lead.jobSha256 === '') throw refusal('the request names no job');
    if (served !== null && served.run !== lead.run)
      throw refusal(`this shard belongs to run ${served.run}; end it, or start another shard`);
    if (served !== null && served.jobSha256 !== lead.jobSha256)
      throw refusal(`run ${served.run} is of job ${served.jobSha256}, not of ${lead.jobSha256.slice(0, longestText)}`);
    if (served !== null && lead.generation < served.generation)
      throw refusal(`generation ${lead.generation} was overtaken by ${served.generation}`);
    return lead;
  }

  #of(lead: Lead | undefined): Served {
    const served = this.#served;
    if (served === null) throw unopened();
    if (lead?.run !== served.run || lead.generation !== served.generation)
      throw refusal(`this shard is at run ${served.run}, generation ${served.generation}`);
    if (lead.jobSha256 !== served.jobSha256) throw refusal(`this shard is at job ${served.jobSha256}`);
    return served;
  }

  #pinVersion(served: Served, id: VersionRef & { readonly generation: number }): PinnedVersion {
    if (served !== this.#served || served.generation !== id.generation)
      throw refusal(`generation ${id.generation} is not served here`);
    return served.shard.pin(id);
  }

  /** A worker leaves its part of a unit's gradient here; whether it counts is the coordinator's to say. */
  async #leave(
    served: Served,
    header: GradientHeader,
    chunks: AsyncIterable<GradientChunk> | null,
  ): Promise<PushVerdict> {
    const verdict = await this.#receive(served, header, chunks);
    const outcome = verdict.verdict === Verdict.VERDICT_ACCEPTED ? 'left' : 'refused';
    this.options.series.gradients.inc({ outcome });
    return verdict;
  }

  async #receive(
    served: Served,
    header: GradientHeader,
    chunks: AsyncIterable<GradientChunk> | null,
  ): Promise<PushVerdict> {
    if (this.#served !== served) throw unopened();
    const { run, generation, job, shard, body, left } = served;
    const { step, lineage } = served.current;
    const phase = phaseNameOf(header.phase);
    const { asynchronous: mode } = job;
    const asynchronous = mode === null ? null : { ...unknown, maxStaleness: mode.maxStaleness };
    const counted = new Map();
    const judged = judge(header, { run, generation, lineage, step, phase, ...body, counted, asynchronous });
    if (judged.kind !== 'wanted') return answer(judged.kind, 'detail' in judged ? judged.detail : '');
    const received = await shard.receive(header, chunks);
    if (typeof received === 'string') return answer('invalid', received);
    // Another version may have come meanwhile.
    const isOver = mode === null && served.current.step !== step;
    if (this.#served !== served || isOver || served.current.lineage !== lineage) {
      received.release();
      return answer('stale', `it was computed for version ${step}, now is ${served.current.step}`);
    }
    left.put(header, received);
    return answer('accepted', '');
  }

  #attend(call: ServerWritableStream<AttendRequest, AttendResponse>): void {
    try {
      const served = this.#of(call.request.lead);
      served.attending.add(call);
      call.on('error', () => undefined).on('close', () => served.attending.delete(call));
    } catch (error) {
      call.emit('error', failureOf(error));
    }
  }

  async #add(request: AddUnitRequest): Promise<AddUnitResponse> {
    const served = this.#of(request.lead);
    const { step, index, worker, attempt, examples, average, keepBefore } = request;
    const received = served.left.take(request);
    const leaf = examples === 0 ? ({ kind: 'zero' } as const) : (received?.leaf ?? null);
    try {
      const added = await served.shard.add({
        ...{ step, index, worker, attempt, examples, leaf, keepBefore },
        phase: phaseNameOf(request.phase) ?? 'decoder-only',
        average: average === undefined ? null : { weight: average.examples, l2: average.l2 },
      });
      this.options.series.gradients.inc({ outcome: added.kind });
      return {
        notFinite: added.kind === 'not-finite' ? added.tensor : '',
        missing: added.kind === 'missing',
        squares: added.kind === 'added' && added.squares !== null ? Array.from(added.squares) : [],
      };
    } finally {
      received?.release();
    }
  }

  async #update(request: UpdateRequest): Promise<object> {
    const served = this.#of(request.lead);
    const { scale, learningRate, keepBefore, ring, held } = request;
    const before = served.current;
    await served.shard.update({
      ...{ scale, learningRate, keepBefore, ring: ringOf(ring) },
      segments: request.segments.filter(isSegmentName),
      // The version before stays: the coordinator may have taken hold of it while this was on its way.
      held: [...held, before],
    });
    served.current = { step: before.step + 1, lineage: before.lineage };
    const { asynchronous } = served.job;
    served.left.forget(asynchronous === null ? Infinity : served.current.step - asynchronous.maxStaleness);
    this.options.series.version.set(served.current.step);
    return {};
  }

  async #readState(call: ServerWritableStream<ReadStateRequest, ReadStateResponse>): Promise<void> {
    let pinned: PinnedVersion | null = null;
    try {
      const { lead, version } = call.request;
      pinned = this.#of(lead).shard.pin(version ?? { step: 0, lineage: 0 });
      const { parameters, optimizer } = pinned;
      const messages = function* (): Generator<ReadStateResponse> {
        if (optimizer?.powers != null) yield { message: { $case: 'powers', value: optimizer.powers } };
        for (const value of segmentChunks([parameters, ...(optimizer?.slots ?? [])]))
          yield { message: { $case: 'chunk', value } };
      };
      await sendToEnd(call, messages());
    } catch (error) {
      call.emit('error', failureOf(error));
    } finally {
      pinned?.release();
    }
  }

  #setSessions({ lead, sessions }: SetSessionsRequest): object {
    this.#of(lead).calls.replace(sessions);
    return {};
  }

  async #forgetWorker({ lead, worker }: ForgetWorkerRequest): Promise<object> {
    const { left, shard } = this.#of(lead);
    // First, as they may lie in its slots.
    left.forgetWorker(worker);
    await shard.forgetWorker(worker);
    return {};
  }

  async #leaveRun(lead: Lead | undefined): Promise<object> {
    const { run, generation } = this.#of(lead);
    await this.#close();
    this.options.log.info('left', { run, generation });
    return {};
  }

  async #close(): Promise<void> {
    const served = this.#served;
    this.#served = null;
    this.options.series.open.set(0);
    for (const call of served?.attending ?? []) call.end();
    await served?.shard[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opening;
    await this.#close();
  }
}
