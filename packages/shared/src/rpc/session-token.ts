import { type Interceptor, InterceptingCall, type Metadata } from '@grpc/grpc-js';

/**
 * A session's secret, in the first metadata that the coordinator answers a session with. Every other call of the worker shows it:
 * so a call is one of a worker that was admitted, and of which.
 */
export const sessionHeader = 'showtell-session';

export function tokenIn(metadata: Metadata): string | null {
  return metadata.get(sessionHeader)[0]?.toString() ?? null;
}

/** What a worker was given, for the calls that follow; shared by the connections of one membership. */
export class SessionToken {
  #token: string | null;

  constructor(token: string | null = null) {
    this.#token = token;
  }

  /** Notes the token in what is answered, and shows it from then on. */
  readonly interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => {
        if (this.#token !== null) metadata.set(sessionHeader, this.#token);
        next(metadata, {
          onReceiveMetadata: (received, pass) => {
            this.#token = tokenIn(received) ?? this.#token;
            pass(received);
          },
        });
      },
    });
}
