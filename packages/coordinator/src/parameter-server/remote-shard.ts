import { setTimeout as delay } from 'node:timers/promises';
import { type ClientReadableStream, type ServiceError, status } from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type {
  AddUnitResponse,
  Lead,
  OpenRequest,
  OpenResponse,
  ReadStateResponse,
  RingFile,
  ShardServiceClient,
} from '@showtell/shared/generated/showtell/v1/shards.js';
import { connectShard } from '@showtell/shared/rpc/channel.js';
import { messagesOf, sendAll } from '@showtell/shared/rpc/tensor-stream.js';
import type { OpenSession } from '../security/call-guard.js';
import type { BetaPowers } from './optimizer.js';
import type { OpenShard } from './parameter-server.js';
import type {
  AddAnswer,
  AddRequest,
  ParameterShard,
  RingFiles,
  StateViews,
  UpdateRequest,
  VersionRef,
} from './parameter-shard.js';
import { placeChunk, segmentChunks, valuesIn } from './segment-chunks.js';
import { phaseOf } from './verdict.js';
import type { ParameterState } from './versions.js';

/** A shard that is just being started is waited for so long. */
const startMs = 30_000;
const retryMs = 200;
/** After so long it is said what is waited for. */
const sayAfterMs = 3_000;
/** So long a shard may take to hear that its coordinator leaves. */
const leaveMs = 2_000;

type Options = Parameters<OpenShard>[0] & { readonly jobSha256: string };

/**
 * A part of the parameters in a process of its own. Once it cannot be reached, what it held is lost: the run goes on from
 * its last checkpoint.
 */
export class RemoteShard implements ParameterShard {
  sharedMemory: ParameterShard['sharedMemory'] = null;
  #isClosed = false;
  /** Sessions that it has yet to be told of. */
  #untold: readonly OpenSession[] | null = null;
  #telling: Promise<void> | null = null;

  private constructor(
    readonly address: string,
    private readonly client: ShardServiceClient,
    private readonly options: Options,
    private readonly onLost: (error: ShowtellError) => void,
  ) {}

  /**
   * Gives a shard its part's values.
   * @param onLost is told when it cannot be reached any more, whoever was asking
   * @param isWanted whether one that is not there is waited for
   * @param onWait is told once, after some seconds, that one is waited for, and why
   * @throws ShowtellError `parameters/shard-lost` when it is not there in time, or belongs to another run
   */
  static async open(
    address: string,
    options: Options,
    onLost: (error: ShowtellError) => void,
    isWanted: () => boolean = () => true,
    onWait: (text: string) => void = () => undefined,
  ): Promise<RemoteShard> {
    const shard = new RemoteShard(address, connectShard(address), options, onLost);
    const begin = performance.now();
    for (let isSaid = false; ;) {
      try {
        await shard.#give(options.state, options.ring);
        shard.#attend();
        return shard;
      } catch (error) {
        const isThere = (error as Partial<ServiceError>).code !== status.UNAVAILABLE;
        if (isThere || performance.now() > begin + startMs || !isWanted()) {
          shard.client.close();
          throw shard.#lost(error);
        }
        if (!isSaid && performance.now() > begin + sayAfterMs) {
          onWait(`waiting for shard ${address}: ${reasonOf(error)}`);
          isSaid = true;
        }
        await delay(retryMs);
      }
    }
  }

  /** Learns of the shard's end, whether or not something is asked of it. */
  #attend(): void {
    const call = this.client.attend({ lead: this.#lead });
    const over = (error: unknown): void => {
      if (!this.#isClosed) this.#noteLost(error);
    };
    call
      .on('error', over)
      .on('end', () => over(new Error('it ended')))
      .resume();
  }

  async #give(state: ParameterState, ring: RingFiles): Promise<void> {
    const { job, shard, shards } = this.options;
    const { parameters } = state;
    // Another optimizer's is of no use to this one.
    const optimizer = state.optimizer?.name === job.optimizer.name ? state.optimizer : null;
    const slots = optimizer?.slots ?? [];
    const header = {
      ...{ lead: this.#lead, job: JSON.stringify(job), shard, shards, ring: ringFilesOf(ring) },
      ...{ lineage: state.lineage, step: state.step, slots: slots.length, powers: optimizer?.powers ?? undefined },
    };
    const { client } = this;
    const answer = await new Promise<OpenResponse>((resolve, reject) => {
      const call = client.open((error, response) => (error === null ? resolve(response) : reject(error)));
      call.on('error', () => undefined);
      const messages = function* (): Generator<OpenRequest> {
        yield { message: { $case: 'header', value: header } };
        for (const value of segmentChunks([parameters, ...slots])) yield { message: { $case: 'chunk', value } };
      };
      sendAll(call, messages()).then(
        () => call.end(),
        () => undefined,
      );
    });
    const { sharedMemory: directory, sharedMemoryNonce: nonce } = answer;
    this.sharedMemory = directory === '' ? null : { directory, nonce };
  }

  async add({ step, index, worker, attempt, phase, examples, average, keepBefore }: AddRequest): Promise<AddAnswer> {
    const request = {
      ...{ lead: this.#lead, step, index, worker, attempt, phase: phaseOf(phase), examples, keepBefore },
      average: average === null ? undefined : { examples: average.weight, l2: average.l2 },
    };
    const answer = await this.#ask<AddUnitResponse>((done) => this.client.addUnit(request, done));
    if (answer.missing) return { kind: 'missing' };
    if (answer.notFinite !== '') return { kind: 'not-finite', tensor: answer.notFinite };
    return { kind: 'added', squares: average === null ? null : Float64Array.from(answer.squares) };
  }

  async update({ segments, scale, learningRate, keepBefore, ring, held }: UpdateRequest): Promise<void> {
    const { generation } = this.options;
    const request = {
      ...{ lead: this.#lead, segments: [...segments], scale, learningRate, keepBefore, ring: ringFilesOf(ring) },
      held: held.map(({ step, lineage }) => ({ generation, lineage, step })),
    };
    await this.#ask((done) => this.client.update(request, done));
  }

  async replace(state: ParameterState, ring: RingFiles): Promise<void> {
    try {
      await this.#give(state, ring);
    } catch (error) {
      throw this.#noteLost(error);
    }
  }

  async read(version: VersionRef, into: Pick<ParameterState, 'parameters'> & StateViews): Promise<BetaPowers | null> {
    const { generation } = this.options;
    let powers: BetaPowers | null = null;
    const call: ClientReadableStream<ReadStateResponse> = this.client.readState({
      lead: this.#lead,
      version: { generation, ...version },
    });
    const slots = [into.parameters, ...into.slots];
    let received = 0;
    try {
      for await (const { message } of messagesOf<ReadStateResponse>(call)) {
        if (message?.$case === 'powers') powers = message.value;
        else if (message?.$case === 'chunk') received += placeChunk(message.value, slots);
      }
    } catch (error) {
      throw this.#noteLost(error);
    }
    if (received !== valuesIn(slots)) throw new Error(`a shard sent ${received} values of ${valuesIn(slots)}`);
    return powers;
  }

  /** One after the other, and of several that wait the last. */
  async setSessions(open: readonly OpenSession[]): Promise<void> {
    this.#untold = open;
    this.#telling ??= this.#tellSessions();
    await this.#telling;
  }

  async #tellSessions(): Promise<void> {
    try {
      while (this.#untold !== null && !this.#isClosed) {
        const sessions = [...this.#untold];
        this.#untold = null;
        await this.#ask((done) => this.client.setSessions({ lead: this.#lead, sessions }, done));
      }
    } finally {
      this.#telling = null;
    }
  }

  async forgetWorker(worker: string): Promise<void> {
    await this.#ask((done) => this.client.forgetWorker({ lead: this.#lead, worker }, done));
  }

  get #lead(): Lead {
    const { run, generation, jobSha256 } = this.options;
    return { run, generation, jobSha256 };
  }

  async #ask<T>(call: (done: (error: ServiceError | null, answer: T) => void) => unknown): Promise<T> {
    try {
      return await new Promise<T>((resolve, reject) => {
        call((error, answer) => (error === null ? resolve(answer) : reject(error)));
      });
    } catch (error) {
      throw this.#noteLost(error);
    }
  }

  #noteLost(error: unknown): ShowtellError {
    const lost = this.#lost(error);
    if (!this.#isClosed) this.onLost(lost);
    return lost;
  }

  #lost(cause: unknown): ShowtellError {
    const { shard, shards } = this.options;
    const facts = { shard: shard + 1, shards, address: this.address, detail: reasonOf(cause) };
    return new ShowtellError('parameters/shard-lost', facts, { cause });
  }

  /** Leaves it in order, if it is there: another run may have it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, leaveMs);
      this.client.leave({ lead: this.#lead }, () => {
        clearTimeout(late);
        resolve();
      });
    });
    this.client.close();
  }
}

/** Whether that is why a run ended: its coordinator begins again from the last checkpoint. */
export function isShardLost(error: unknown): boolean {
  return error instanceof ShowtellError && error.code === 'parameters/shard-lost';
}

function reasonOf(error: unknown): string {
  const { details, message } = error as Partial<ServiceError>;
  return details ?? message ?? String(error);
}

function ringFilesOf(ring: RingFiles): RingFile[] {
  return Object.entries(ring).map(([segment, file]) => ({ segment, file }));
}
