import { status } from '@grpc/grpc-js';
import type { OnStatus } from '@showtell/shared/rpc/watch-statuses.js';
import type { OnRefused } from '@showtell/shared/security/refusal.js';

/**
 * Tells of calls that gRPC itself ended: a message beyond the limit, or one that is none. Those that a handler refuses are
 * told of where they are; their statuses have other texts.
 */
export function refusedStatus(onRefused: OnRefused): OnStatus {
  return (code, detail, peer) => {
    if (code === status.RESOURCE_EXHAUSTED && /larger than|than max/i.test(detail))
      onRefused({ reason: 'oversized', detail, peer });
    else if (code === status.INTERNAL && /deserializing|decompress|compress/i.test(detail))
      onRefused({ reason: 'malformed', detail, peer });
  };
}
