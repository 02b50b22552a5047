import { status, type sendUnaryData } from '@grpc/grpc-js';
import {
  Command_Kind,
  type ParameterServiceServer,
  type SessionRequest,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { RunIdentity } from './run-folder.js';
import { refusalOfOther } from './workers.js';

/**
 * To a worker that was in the run a moment ago a call that was cancelled is one to a coordinator that is gone: it leaves as its session
 * told it to.
 */
const late = { code: status.CANCELLED, details: 'the run is over' };
const refuse = (_call: unknown, respond: sendUnaryData<never>): void => respond(late);

/**
 * The gRPC service of a run that is over: whoever greets it for that run is told so in place of a welcome. A worker that starts as the
 * last step is taken would look for its coordinator in vain, and whatever waits for its end would wait with it.
 */
export function finishedService(of: Pick<RunIdentity, 'run' | 'jobSha256'>): ParameterServiceServer {
  return {
    session: (session) => {
      session.on('error', () => undefined);
      session.on('data', ({ message }: SessionRequest) => {
        if (message?.$case !== 'hello') return;
        const refusal = refusalOfOther(message.value, of);
        const value = { kind: Command_Kind.KIND_COMPLETE, reason: 'the run is over' };
        session.write({
          message: refusal === null ? { $case: 'command', value } : { $case: 'refusal', value: refusal },
        });
        session.end();
      });
      session.on('end', () => session.end());
    },
    pullVersion: (call) => call.emit('error', Object.assign(new Error(late.details), late)),
    pushGradient: refuse,
    pushEvaluation: refuse,
    checkCanary: refuse,
  };
}
