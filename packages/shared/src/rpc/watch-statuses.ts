import { type ServerInterceptor, ServerInterceptingCall, status } from '@grpc/grpc-js';

/** @param peer address and port of the caller */
export type OnStatus = (code: status, details: string, peer: string) => void;

/**
 * Tells how calls end that do not end well. Some are ended below every handler and interceptor: a message that is too large, one that
 * is no message.
 */
export function watchStatuses(onStatus: OnStatus): ServerInterceptor {
  return (_method, call) => {
    const send = call.sendStatus.bind(call);
    call.sendStatus = (ended) => {
      if (ended.code !== status.OK) onStatus(ended.code, ended.details, call.getPeer());
      send(ended);
    };
    return new ServerInterceptingCall(call);
  };
}
