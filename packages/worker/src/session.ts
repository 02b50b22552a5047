import { setTimeout as delay } from 'node:timers/promises';
import { ShowtellError } from '@showtell/shared/errors.js';
import type {
  Command,
  Hello,
  ParameterServiceClient,
  SessionRequest,
  SessionResponse,
  Version,
  Welcome,
} from '@showtell/shared/generated/showtell/v1/parameters.js';

export interface SessionEvents {
  /** Which parameters are current; the same version comes again when its phase is decided. */
  version(version: Version): void;
  command(command: Command): void;
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
   * @throws ShowtellError `worker/refused` when this worker's job, data or version are not the run's
   * @throws the stream's error when no coordinator answers
   */
  static async open(service: ParameterServiceClient, hello: Hello, events: SessionEvents): Promise<Session> {
    const call = service.session();
    const ended = new Promise<void>((resolve) => {
      call.on('end', () => {
        call.end();
        resolve();
      });
      call.on('close', resolve);
    });
    const answer = new Promise<Welcome>((resolve, reject) => {
      call.on('error', reject);
      call.on('end', () => reject(new Error('the coordinator closed the session')));
      call.on('data', ({ message }: SessionResponse) => {
        switch (message?.$case) {
          case 'welcome':
            resolve(message.value);
            return;
          case 'refusal':
            reject(new ShowtellError('worker/refused', message.value));
            return;
          case 'version':
            events.version(message.value);
            return;
          case 'command':
            events.command(message.value);
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
      return new Session(call, await Promise.race([answer, late]), ended);
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
