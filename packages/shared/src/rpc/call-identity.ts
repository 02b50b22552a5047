import { type Interceptor, InterceptingCall, type Metadata } from '@grpc/grpc-js';

/** The run that a call is of, and the digest of its job. */
export const runHeader = 'showtell-run';
export const jobHeader = 'showtell-job';
/**
 * A session's secret, in the first metadata that the coordinator answers a session with. Every other call of the worker shows it:
 * so a call is one of a worker that was admitted, and of which.
 */
export const sessionHeader = 'showtell-session';

/** What a call says of itself; null: nothing. */
export interface SaidOfCall {
  readonly run: string | null;
  readonly jobSha256: string | null;
  readonly token: string | null;
}

export function identityIn(metadata: Metadata): SaidOfCall {
  const said = (header: string): string | null => metadata.get(header)[0]?.toString() ?? null;
  return { run: said(runHeader), jobSha256: said(jobHeader), token: said(sessionHeader) };
}

/** What a worker's calls say they are of; shared by the connections of one membership. */
export class CallIdentity {
  /** Known from the welcome on, if not before. */
  run: string | null;
  readonly #jobSha256: string | null;
  #token: string | null;

  constructor({ run = null, jobSha256 = null, token = null }: Partial<SaidOfCall> = {}) {
    this.run = run;
    this.#jobSha256 = jobSha256;
    this.#token = token;
  }

  /** Says them in each call; notes the token in what is answered, and shows it from then on. */
  readonly interceptor: Interceptor = (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, _listener, next) => {
        if (this.run !== null) metadata.set(runHeader, this.run);
        if (this.#jobSha256 !== null) metadata.set(jobHeader, this.#jobSha256);
        if (this.#token !== null) metadata.set(sessionHeader, this.#token);
        next(metadata, {
          onReceiveMetadata: (received, pass) => {
            this.#token = identityIn(received).token ?? this.#token;
            pass(received);
          },
        });
      },
    });
}
