import { setTimeout as delay } from 'node:timers/promises';
import { status, type ServiceError } from '@grpc/grpc-js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  type Command,
  Command_Kind,
  type Hello,
  type ParameterServiceClient,
  type SessionRequest,
  type SessionResponse,
  type UnitOffer,
  type Version,
  type Welcome,
} from '@showtell/shared/generated/showtell/v1/parameters.js';

export interface SessionEvents {
  /** Which parameters are current; the same version comes again when its phase is decided. */
  version(version: Version): void;
  command(command: Command): void;
  /** A unit that another worker is slow with. */
  offer(offer: UnitOffer): void;
}

/** A coordinator that answers no Hello within this time is not there. */
const helloMs = 10_000;

/** The stream by which a coordinator knows that this worker lives. */
export class Session implements AsyncDisposable {
  private constructor(
    private readonly call: ReturnType<ParameterServiceClient['session']>,
    readonly welcome: Welcome,
    /** Resolves when the stream is over, however it ended. */
    readonly ended: Promise<void>,
  ) {}

  /**
   * Says Hello.
   * @returns null when the run is over
   * @throws ShowtellError `worker/refused` when this worker's job, data or version are not the run's,
   * `worker/not-permitted` when its certificate is not a worker's
   * @throws the stream's error when no coordinator answers
   */
  static async open(service: ParameterServiceClient, hello: Hello, events: SessionEvents): Promise<Session | null> {
    const call = service.session();
    const ended = new Promise<void>((resolve) => {
      call.on('end', () => {
        call.end();
        resolve();
      });
      call.on('close', resolve);
    });
    let isWelcome = false;
    const answer = new Promise<Welcome | null>((resolve, reject) => {
      call.on('error', (error: ServiceError) => {
        const isForbidden = error.code === status.PERMISSION_DENIED;
        const facts = { address: call.getPeer(), detail: error.details };
        reject(isForbidden ? new ShowtellError('worker/not-permitted', facts, { cause: error }) : error);
      });
      call.on('end', () => reject(new Error('the coordinator closed the session')));
      call.on('data', ({ message }: SessionResponse) => {
        switch (message?.$case) {
          case 'welcome':
            isWelcome = true;
            resolve(message.value);
            return;
          case 'refusal':
            reject(new ShowtellError('worker/refused', message.value));
            return;
          case 'version':
            events.version(message.value);
            return;
          case 'command':
            if (!isWelcome && message.value.kind === Command_Kind.KIND_COMPLETE) resolve(null);
            events.command(message.value);
            return;
          case 'offer':
            events.offer(message.value);
            return;
          case undefined:
            return;
          default:
            message satisfies never;
        }
      });
    });
    call.write({ message: { $case: 'hello', value: hello } });
    const timeout = new AbortController();
    try {
      const late = delay(helloMs, undefined, { signal: timeout.signal }).then(() => {
        throw new Error('the coordinator did not answer the greeting');
      });
      late.catch(() => undefined);
      const welcome = await Promise.race([answer, late]);
      if (welcome !== null) return new Session(call, welcome, ended);
      call.end();
      return null;
    } catch (error) {
      call.cancel();
      throw error;
    } finally {
      timeout.abort();
    }
  }

  send(message: NonNullable<SessionRequest['message']>): void {
    if (!this.call.destroyed && !this.call.writableEnded) this.call.write({ message });
  }

  /** Says goodbye: the coordinator sees an orderly end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.call.destroyed) this.call.end();
    const timeout = new AbortController();
    await Promise.race([this.ended, delay(1_000, undefined, { signal: timeout.signal }).catch(() => undefined)]);
    timeout.abort();
    this.call.cancel();
  }
}
