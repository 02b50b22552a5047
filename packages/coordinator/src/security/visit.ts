import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { SessionRequest, SessionResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';

/** One session, as far as it may go. */
export interface Visit {
  /** Whether a message may be acted on. One that may not was answered, and the session perhaps ended. */
  admits(message: NonNullable<SessionRequest['message']>): boolean;
  /** The worker was taken: the session gets the token for its other calls. */
  join(worker: string): void;
  /** The worker is gone: its token is worth nothing any more. */
  leave(): void;
}

/** Who lets sessions in. */
export interface SessionGate {
  /** @returns null for one that was turned away, and told so */
  enter(session: ServerDuplexStream<SessionRequest, SessionResponse>): Visit | null;
}

/** Lets everything pass, as where the sessions are not a network's. */
export const unguarded: SessionGate = {
  enter: () => ({ admits: () => true, join: () => undefined, leave: () => undefined }),
};
