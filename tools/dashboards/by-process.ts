import { of } from './grafana.js';

/** The legend of a series that {@link named} has given its worker's name. */
export const worker = '{{worker}}';

/** Gives the series of a worker's process the worker's name. */
export const named = (expression: string): string =>
  `${expression} * on (namespace, instance) group_left (worker) ${of('showtell_worker_info')}`;

/** One series a worker, whatever else it was kept apart by. */
export const byWorker = (expression: string): string => named(`sum by (namespace, instance) (${expression})`);

/** What every process says of itself, of coordinators only. */
export const ofCoordinator = (series: string): string =>
  `${series} and on (namespace, instance) ${of('showtell_run_info')}`;

/** What every process says of itself, of the parameter server's shards only. */
export const ofShard = (series: string): string =>
  `${series} and on (namespace, instance) ${of('showtell_shard_open')}`;
