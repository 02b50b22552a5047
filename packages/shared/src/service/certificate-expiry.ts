import type { Gauge } from 'prom-client';
import type { TlsFolder } from '../security/tls-folder.js';
import type { SeriesRow } from './series.js';

/** The same row in each role's table. It has a label so that a process without TLS has no such series, rather than one at 0. */
export const certificateExpiry = {
  type: 'gauge',
  name: 'showtell_certificate_expiry_seconds',
  unit: 'seconds',
  labels: { role: 'coordinator, worker' },
  help: "When the certificate of this process ends, in seconds since 1970; by its role, a shard's is the coordinator's. With TLS only.",
} as const satisfies SeriesRow;

/** The files may be renewed at any time: no hurry to tell of it. */
const usualMs = 5_000;

/** Tells from now on when the certificate ends that lies in the folder; null: nothing is secured. */
export function tellExpiry(gauge: Gauge<'role'>, tls: TlsFolder | null, intervalMs = usualMs): Disposable {
  const look = (): void => {
    if (tls === null) return;
    try {
      gauge.set({ role: tls.identity.role }, tls.validTo().getTime() / 1000);
    } catch {
      // It is being replaced: the next look sees what came.
    }
  };
  look();
  const timer = tls === null ? undefined : setInterval(look, intervalMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
