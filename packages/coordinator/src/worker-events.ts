import { unitFields } from '@showtell/shared/plan/unit-fields.js';
import type { Beside } from './beside.js';
import type { Dispatcher } from './dispatcher.js';
import type { Lines } from './line-limit.js';
import type { CoordinatorMetrics } from './metrics.js';
import type { ParameterServer } from './parameter-server/parameter-server.js';
import type { Workers, WorkersEvents } from './workers.js';

/** A unit without a known holder is offered again this long after a worker was lost. */
export const orphanMs = 500;

export interface WorkerEventsParts {
  readonly series: Pick<CoordinatorMetrics['series'], 'workers' | 'workersRefused' | 'unitsRedelivered'>;
  readonly log: Lines;
  readonly beside: Beside;
  readonly dispatcher: Dispatcher;
  readonly server: Pick<ParameterServer, 'forgetWorker'>;
  readonly workers: () => Workers;
}

/** What follows from workers' coming and going: what a lost one held is offered again, all of it is counted and logged. */
export function workerEvents({ series, log, beside, dispatcher, server, workers }: WorkerEventsParts): WorkersEvents {
  return {
    joined: (worker) => {
      dispatcher.workerJoined(worker);
      series.workers.set(workers().list.length);
      log.info('a worker joined', { worker: worker.id, pid: worker.pid, host: worker.host, engine: worker.engine });
    },
    refused: (worker, reason, text) => {
      series.workersRefused.inc({ reason });
      log.warn('a worker was refused', { worker, reason: text });
    },
    left: (worker, died) => {
      series.workers.set(workers().list.length);
      const facts = { worker: worker.id, holding: worker.leases.size };
      if (died) log.warn('a worker died', facts);
      else log.info('a worker left', facts);
      beside.start(() => server.forgetWorker(worker.id));
      beside.start(() => dispatcher.workerLeft(worker, died));
      offerOrphansSoon(beside, dispatcher);
    },
    leaseReturned: (worker, { unit, reason, dropped }) => {
      if (!dropped) {
        // The broker offers it by itself, in the lane that it came from.
        series.unitsRedelivered.inc({ reason: 'given-back' });
        dispatcher.givenBack(unit, worker.id, `worker ${worker.id} gave it back: ${reason}`);
      }
      const what = dropped ? 'a unit was dropped' : 'a unit was given back';
      log.debug(what, { ...unitFields(unit), worker: worker.id, reason });
    },
    unitFailed: (worker, { unit, code, text }) => {
      log.warn('a unit failed', { ...unitFields(unit), worker: worker.id, code, text });
      beside.start(() => dispatcher.unitFailed(worker, unit, text, code));
    },
  };
}

/** A worker that is gone may have held units that it had not told of yet. */
export function offerOrphansSoon(beside: Beside, dispatcher: Dispatcher, step?: number): void {
  beside.startIn(orphanMs, `offer what nobody holds of step ${step ?? 'now'}`, () => dispatcher.offerOrphans(step));
}
