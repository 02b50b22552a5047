import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { NatsConnection } from 'nats';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { UnitQueue, type Lease } from '@showtell/shared/bus/unit-queue.js';
import {
  Command_Kind,
  Phase,
  Verdict,
  WireType,
  type CheckCanaryResponse,
  type GradientHeader,
  type Hello,
  type ParameterServiceClient,
  type PushEvaluationResponse,
  type PushGradientRequest,
  type PushGradientResponse,
  type RecordEvaluation,
  type Refusal,
  type SessionRequest,
  type SessionResponse,
  type Version,
  type Welcome,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { EvaluationKind, type EvaluationWork, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { trainedSegments } from '@showtell/shared/job/phases.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { CallIdentity, identityIn } from '@showtell/shared/rpc/call-identity.js';
import type { TlsFolder } from '@showtell/shared/security/tls-folder.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import { secondLease } from '@showtell/worker/second-lease.js';
import { version as showtellVersion } from '@showtell/shared/version.js';

/** What a worker makes of a unit that is due. `hold`: nothing, for ever; `vanish`: the acknowledgement without a result. */
export type Deed = 'compute' | 'fail' | 'out-of-memory' | 'not-finite' | 'hold' | 'die' | 'vanish' | 'give-back';

export interface Script {
  readonly id: string;
  readonly hello?: Partial<Hello>;
  /** Told of each unit that is due. */
  readonly deed?: (id: UnitId, worker: ScriptedWorker) => Deed;
  /** Whether it stands still as it gets this unit, before it can say so. */
  readonly stopsAt?: (id: UnitId) => boolean;
  /** How long computing a unit takes. */
  readonly computeMs?: number;
  /** Validation loss a word of the version of a step. */
  readonly lossPerWord?: (step: number) => number;
  /** The caption for each record of an evaluation unit. */
  readonly captions?: (step: number, work: EvaluationWork) => string[];
  /** Positions within the unit of records that "do not decode". */
  readonly skipped?: (id: UnitId) => number[];
  /** What it shows of itself; by default nothing. */
  readonly tls?: TlsFolder | null;
}

/** A worker without an engine: its gradients are made up from the unit's seed, everything around them is real. */
export class ScriptedWorker implements AsyncDisposable {
  readonly versions: Version[] = [];
  readonly commands: Command_Kind[] = [];
  /** Units it pushed a result of, with the verdict. */
  readonly results: { readonly id: UnitId; readonly verdict: Verdict }[] = [];
  /** Resolves at Welcome or Refusal. */
  readonly answered: Promise<{ welcome: Welcome } | { refusal: Refusal }>;
  /** What its calls show; resolves when it was let in. */
  readonly token: Promise<string>;
  /** Resolves when its session is over. */
  readonly gone: Promise<void>;
  private readonly service: ParameterServiceClient;
  private readonly session: ClientDuplexStream<SessionRequest, SessionResponse>;
  private readonly held: Lease[] = [];
  private readonly held4ever = new Set<Lease>();
  private bus: NatsConnection | null = null;
  private paused = false;
  private over = false;
  private readonly work: Promise<void>;

  constructor(
    address: string,
    private readonly layout: ParameterLayout,
    facts: Pick<Hello, 'jobSha256' | 'datasetDigest'>,
    private readonly script: Script,
  ) {
    const identity = new CallIdentity({ jobSha256: facts.jobSha256 });
    this.service = connectParameters(address, { tls: script.tls ?? null, identity });
    this.session = this.service.session();
    const { session } = this;
    this.answered = new Promise((resolve) => {
      session.on('data', ({ message }: SessionResponse) => {
        if (message?.$case === 'welcome') {
          identity.run = message.value.run;
          resolve({ welcome: message.value });
        } else if (message?.$case === 'refusal') resolve({ refusal: message.value });
        else if (message?.$case === 'version') this.versions.push(message.value);
        else if (message?.$case === 'command') this.obey(message.value.kind);
        else if (message?.$case === 'offer') this.take(secondLease(message.value));
      });
    });
    this.token = new Promise((resolve) =>
      session.on('metadata', (metadata) => resolve(identityIn(metadata).token ?? '')),
    );
    this.gone = new Promise((resolve) => {
      const end = (): void => {
        this.over = true;
        session.end();
        resolve();
      };
      session.on('end', end).on('error', end).on('close', end);
    });
    const hello = {
      worker: script.id,
      pid: process.pid,
      host: 'here',
      version: showtellVersion,
      engine: 'scripted',
      instance: randomUUID(),
      run: '',
    };
    this.send({ $case: 'hello', value: { ...hello, ...facts, ...script.hello } });
    this.work = this.answered.then((answer) => ('welcome' in answer ? this.serve(answer.welcome) : undefined));
    this.work.catch(() => undefined);
  }

  get name(): string {
    return this.script.id;
  }

  /** Ends as a killed process does: sockets closed, nothing given back. */
  die(): void {
    this.over = true;
    this.session.cancel();
    this.service.close();
    void this.bus?.close();
  }

  async canary(graph: string, sha256: string): Promise<CheckCanaryResponse> {
    await this.answered;
    return new Promise((resolve, reject) =>
      this.service.checkCanary({ worker: this.script.id, graph, sha256 }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      ),
    );
  }

  /** Pushes a made-up gradient for a unit of a version, whoever holds it. */
  push(
    id: UnitId,
    seed: number,
    phase: Phase,
    more: Partial<GradientHeader> = {},
    // Moving averages are no gradients; any value between 0 and 1 does.
    valueAt = (i: number): number => (((seed >>> 3) % 97) + (i % 13)) / 1000,
  ): Promise<PushGradientResponse> {
    const segments = trainedSegments(phase === Phase.PHASE_JOINT ? 'joint' : 'decoder-only');
    const value: GradientHeader = {
      unit: id,
      version: { generation: id.generation, lineage: id.lineage, step: id.step },
      worker: this.script.id,
      examples: 2,
      tokens: 20,
      lossSum: 40 / (id.step + 1),
      skipped: [],
      wireType: WireType.WIRE_TYPE_FLOAT32,
      segments: [...segments],
      embeddingRows: [],
      slot: '',
      atShards: false,
      computeSeconds: 0,
      dataSeconds: 0,
      phase,
      ...more,
    };
    return new Promise((resolve, reject) => {
      const call = this.service.pushGradient((error, answer) => (error === null ? resolve(answer) : reject(error)));
      const write = (message: PushGradientRequest['message']): void => void call.write({ message });
      write({ $case: 'header', value });
      if (value.examples > 0)
        for (const segment of segments) {
          const values = new Float32Array(this.layout.elements[segment]).map((_, i) => valueAt(i));
          const bytes = Buffer.from(values.buffer);
          for (let at = 0; at < bytes.length; at += 1_048_576)
            write({
              $case: 'chunk',
              value: { segment, element: at / 4, body: bytes.subarray(at, at + 1_048_576) },
            });
        }
      call.end();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.die();
    await this.bus?.close();
  }

  private obey(kind: Command_Kind): void {
    this.commands.push(kind);
    if (kind === Command_Kind.KIND_PAUSE) this.paused = true;
    else if (kind === Command_Kind.KIND_RESUME) this.paused = false;
    else this.over = true;
  }

  private send(message: NonNullable<SessionRequest['message']>): void {
    if (!this.session.destroyed) this.session.write({ message });
  }

  private async serve({ natsUrl, unitStream }: Welcome): Promise<void> {
    this.bus = await connectBus({ servers: [natsUrl], name: this.script.id, tls: this.script.tls ?? null });
    const queue = new UnitQueue(this.bus, unitStream);
    while (!this.over) {
      const lease = this.paused ? null : ((await queue.pull('now')) ?? (await this.lookAhead(queue)));
      this.take(lease);
      const version = this.versions.at(-1);
      const due = [...this.held].find((held) => this.isDue(held, version));
      if (due !== undefined && version !== undefined) await this.settle(due, version);
      else if (lease === null) await delay(5);
    }
    // As a worker leaves that was told to.
    if (!this.bus.isClosed()) await this.bus.close();
    this.session.end();
  }

  private take(lease: Lease | null): void {
    if (lease === null || this.script.stopsAt?.(lease.unit.id) === true) return;
    this.held.push(lease);
    this.send({ $case: 'leaseTaken', value: { unit: lease.unit.id } });
  }

  private async lookAhead(queue: UnitQueue): Promise<Lease | null> {
    return this.held.length < 2 ? queue.pull('ahead') : null;
  }

  private isDue(lease: Lease, version: Version | undefined): boolean {
    const { id } = lease.unit;
    const now = version?.id;
    if (now === undefined || this.held4ever.has(lease)) return false;
    if (id.lineage < now.lineage || (id.lineage === now.lineage && id.step < now.step)) {
      this.release(lease);
      lease.acknowledge();
      this.send({ $case: 'leaseReturned', value: { unit: id, reason: 'stale', dropped: true } });
      return false;
    }
    const same = id.step === now.step && id.lineage === now.lineage;
    return same && (id.evaluation || version?.phase !== Phase.PHASE_UNSPECIFIED);
  }

  private release(lease: Lease): void {
    this.held.splice(this.held.indexOf(lease), 1);
  }

  private async settle(lease: Lease, version: Version): Promise<void> {
    const { unit } = lease;
    const deed = this.script.deed?.(unit.id, this) ?? 'compute';
    if (deed === 'die') {
      this.die();
      return;
    }
    if (deed === 'hold') return void this.held4ever.add(lease);
    this.release(lease);
    if (deed === 'give-back') {
      lease.giveBack();
      this.send({ $case: 'leaseReturned', value: { unit: unit.id, reason: 'made to', dropped: false } });
      return;
    }
    if (deed === 'vanish') {
      lease.acknowledge();
      return;
    }
    if (deed === 'fail' || deed === 'out-of-memory') {
      lease.acknowledge();
      const code = deed === 'fail' ? 'engine/failed' : 'engine/out-of-memory';
      this.send({ $case: 'unitFailure', value: { unit: unit.id, code, text: 'made to fail' } });
      return;
    }
    const { id, work } = unit;
    if (this.script.computeMs !== undefined) await delay(this.script.computeMs);
    const notFinite = deed === 'not-finite' ? Number.NaN : null;
    const skipped = this.script.skipped?.(id) ?? [];
    const answer =
      work?.$case === 'evaluation'
        ? await this.evaluate(id, work.value, notFinite)
        : await this.push(id, work?.value.seed ?? 0, version.phase, {
            ...(notFinite === null ? {} : { lossSum: notFinite }),
            ...{ skipped, examples: 2 - skipped.length },
          });
    this.results.push({ id, verdict: answer.verdict });
    if (!this.over) lease.acknowledge();
  }

  private evaluate(id: UnitId, work: EvaluationWork, loss: number | null): Promise<PushEvaluationResponse> {
    const isLoss = work.kind === EvaluationKind.EVALUATION_KIND_PERPLEXITY;
    const captions = isLoss ? [] : (this.script.captions?.(id.step, work) ?? []);
    const lossSum = isLoss ? (loss ?? 10 * (this.script.lossPerWord?.(id.step) ?? 0.1)) : 0;
    const records = work.records.map((_, i): RecordEvaluation => ({
      imageId: 0,
      skipped: false,
      lossSum,
      tokens: isLoss ? 10 : 0,
      captions: isLoss
        ? []
        : [
            {
              caption: captions[i] ?? 'nothing',
              logProbability: -1,
              wordProbabilities: likely(captions[i] ?? 'nothing'),
            },
          ],
    }));
    const version = { generation: id.generation, lineage: id.lineage, step: id.step };
    return new Promise((resolve, reject) =>
      this.service.pushEvaluation({ unit: id, version, worker: this.script.id, records }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      ),
    );
  }
}

/** A half for each word, and for the end. */
function likely(caption: string): number[] {
  return [...caption.split(' '), ''].map(() => 0.5);
}
