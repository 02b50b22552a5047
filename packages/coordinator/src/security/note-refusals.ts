import type { OnRefused, Refusal, RefusalReason } from '@showtell/shared/security/refusal.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Counter } from 'prom-client';

/** Lines a second of one reason; the rest is counted, so that who is refused cannot fill a disk. */
const linesPerSecond = 5;

/** Counts each refusal, and logs it. */
export function noteRefusals(log: Logger, { refused }: { readonly refused: Counter<'reason'> }): OnRefused {
  const written = new Map<RefusalReason, { second: number; lines: number; unwritten: number }>();
  return ({ reason, detail, peer }: Refusal) => {
    refused.inc({ reason });
    const second = Math.floor(performance.now() / 1_000);
    let line = written.get(reason);
    if (line?.second !== second) {
      line = { second, lines: 0, unwritten: line?.unwritten ?? 0 };
      written.set(reason, line);
    }
    if (line.lines++ >= linesPerSecond) {
      line.unwritten++;
      return;
    }
    const { unwritten } = line;
    line.unwritten = 0;
    log.warn('refused', { reason, detail, peer, ...(unwritten === 0 ? {} : { unwritten }) });
  };
}
