import type { OnRefused, Refusal } from '@showtell/shared/security/refusal.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Counter } from 'prom-client';
import { LineLimit } from '../line-limit.js';

/** Lines a second of one reason; the rest is counted, so that who is refused cannot fill a disk. */
const linesPerSecond = 5;

/** Counts each refusal, and logs it. */
export function noteRefusals(log: Logger, { refused }: { readonly refused: Counter<'reason'> }): OnRefused {
  const limit = new LineLimit(linesPerSecond);
  return ({ reason, detail, peer }: Refusal) => {
    refused.inc({ reason });
    const written = limit.take(reason);
    if (written !== null) log.warn('refused', { reason, detail, peer, ...written });
  };
}
