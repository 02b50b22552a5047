import { type ServerInterceptor, ServerInterceptingCall, status } from '@grpc/grpc-js';
import type { CallGuard, Refused } from './call-guard.js';

const service = 'showtell.v1.ParameterService';

/** How long a request's message may be on its way. */
const usualMessageMs = 30_000;

/**
 * Turns calls of workers away by what comes before their first message: a unary handler is reached when its message is
 * there, and whoever may not call would have taken memory for it by then. What is let in brings its message within a while.
 * Sessions pass: what the others show begins with them.
 *
 * @param guard while there is nothing to guard, what all are answered
 */
export function early(guard: () => CallGuard | Refused, messageMs = usualMessageMs): ServerInterceptor {
  return ({ path, requestStream }, call) => {
    if (!path.startsWith(`/${service}/`) || path.endsWith('/Session')) return new ServerInterceptingCall(call);
    let release = (): void => undefined;
    const over = (): void => {
      release();
      clearTimeout(late);
    };
    let late: NodeJS.Timeout | undefined;
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, goOn) => {
            const caller = { getAuthContext: () => call.getAuthContext(), getPeer: () => call.getPeer(), metadata };
            const turnAway = ({ code, details = '' }: Refused): void => call.sendStatus({ code, details });
            const now = guard();
            if ('code' in now) {
              turnAway(now);
              return;
            }
            const begun = now.opened(caller);
            if (typeof begun !== 'function') {
              turnAway(begun);
              return;
            }
            release = begun;
            if (!requestStream)
              late = setTimeout(() => {
                over();
                turnAway(now.refuse(caller, status.DEADLINE_EXCEEDED, 'silent', 'its message did not come'));
              }, messageMs);
            goOn(metadata);
          },
          onReceiveHalfClose: (goOn) => {
            clearTimeout(late);
            goOn();
          },
          onCancel: () => over(),
        }),
      sendStatus: (ended, next) => {
        over();
        next(ended);
      },
    });
  };
}
