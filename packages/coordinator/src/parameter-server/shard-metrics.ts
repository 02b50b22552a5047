import { collectDefaultMetrics, type Registry } from 'prom-client';
import { refusalReasons } from '@showtell/shared/security/refusal.js';
import { certificateExpiry } from '@showtell/shared/service/certificate-expiry.js';
import { openSeries, type SeriesRow, type SeriesSet } from '@showtell/shared/service/series.js';

/** What a shard of the parameter server (`showtell ps`) tells Prometheus, besides what prom-client tells of every process. */
export const shardSeries = {
  open: {
    type: 'gauge',
    name: 'showtell_shard_open',
    unit: '',
    labels: {},
    help: 'Whether a coordinator has opened the shard: 1 or 0.',
  },
  parameters: {
    type: 'gauge',
    name: 'showtell_shard_parameters_bytes',
    unit: 'bytes',
    labels: {},
    help: 'Bytes of the parameters that the shard holds of the run.',
  },
  version: {
    type: 'gauge',
    name: 'showtell_shard_step',
    unit: '',
    labels: {},
    help: 'Updates applied to the version that is current.',
  },
  gradients: {
    type: 'counter',
    name: 'showtell_shard_gradients_total',
    unit: '',
    labels: { outcome: 'left, added, not-finite, missing, refused' },
    help: 'Gradients that workers left, and that the coordinator had added, and those that it could not have or that were refused.',
  },
  refused: {
    type: 'counter',
    name: 'showtell_refused_total',
    unit: '',
    labels: { reason: refusalReasons.join(', ') },
    help: 'Connections and calls refused: a certificate, a role, an identity or a limit.',
  },
  certificateExpiry,
} as const satisfies Readonly<Record<string, SeriesRow>>;

export type ShardSeries = SeriesSet<typeof shardSeries>;

export function openShardMetrics(): { readonly registry: Registry; readonly series: ShardSeries } {
  const metrics = openSeries(shardSeries);
  collectDefaultMetrics({ register: metrics.registry });
  return metrics;
}
