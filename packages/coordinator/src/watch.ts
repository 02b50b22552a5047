import type { Job } from '@showtell/shared/job/job.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Beside } from './beside.js';
import type { Broker } from './broker.js';
import type { Control } from './control.js';
import type { Dispatcher } from './dispatcher.js';
import type { Results } from './results.js';
import type { Generation } from './run-folder.js';
import { overdueMs } from './unit-times.js';
import type { Workers } from './workers.js';

/** How often unpublished offers, a newer generation and a stall are looked for. */
const watchMs = 1_000;
const leaseCheckMs = 500;
const lagCheckMs = 100;
/** Workers report every 2 s; one that missed three times stands still, however short the lease. */
const reportsMissedMs = 7_000;

export interface WatchParts {
  readonly job: Job;
  readonly generation: Generation;
  readonly control: Control;
  readonly dispatcher: Dispatcher;
  readonly workers: Workers;
  readonly results: Results;
  readonly broker: Broker;
  readonly beside: Beside;
  readonly log: Logger;
}

/** Looks now and then for what no message tells: silent workers, a newer coordinator, a broker that came back, a stall. */
export function watch(parts: WatchParts): Disposable {
  let quietSince = performance.now();
  let pausedUntil = 0;
  const leases = setInterval(() => offerSilent(parts), leaseCheckMs);
  const lagging = setInterval(() => {
    if (parts.control.isPaused) pausedUntil = performance.now();
    else offerLagging(parts, pausedUntil);
  }, lagCheckMs);
  const rest = setInterval(() => {
    parts.beside.start(() => parts.broker.restore());
    endIfSuperseded(parts);
    quietSince = Math.max(quietSince, parts.results.lastAt);
    if (parts.control.isPaused) quietSince = performance.now();
    if (performance.now() - quietSince < parts.job.cluster.stallSeconds * 1000) return;
    quietSince = performance.now();
    tellOfStall(parts);
  }, watchMs);
  return {
    [Symbol.dispose]: () => {
      clearInterval(leases);
      clearInterval(lagging);
      clearInterval(rest);
    },
  };
}

/**
 * The broker offers an expired lease again in the lane it came from; waiting workers, their hands full of what lies
 * ahead, ask the lane `now` alone.
 */
function offerSilent({ job, workers, dispatcher, beside }: WatchParts): void {
  const silentMs = Math.max(job.cluster.leaseSeconds * 1000, reportsMissedMs);
  for (const { worker, unit } of workers.expire(silentMs)) {
    const detail = `worker ${worker.id} has said nothing for ${silentMs / 1000} s`;
    beside.start(() => dispatcher.offerAgain(unit, 'worker-silent', detail));
  }
}

/** A worker that is slow, or stands still, keeps a step waiting no longer than the others need to notice and compute it. */
function offerLagging({ job, dispatcher, beside }: WatchParts, notBefore: number): void {
  if (beside.isOver) return;
  const { stragglerFactor } = job.cluster;
  dispatcher.offerLagging((kind) => overdueMs(dispatcher.times.median(kind), stragglerFactor), notBefore);
}

function endIfSuperseded({ generation, control }: WatchParts): void {
  try {
    generation.assertCurrent();
  } catch (error) {
    control.fail(error as Error);
  }
}

function tellOfStall({ job, log, dispatcher, workers, beside }: WatchParts): void {
  log.warn('no result for a while', {
    seconds: job.cluster.stallSeconds,
    missing: dispatcher.missing(),
    workers: workers.list.length,
  });
  // Its holder may be a straggler, or have lost it without a word: whichever result comes first counts.
  beside.start(() => dispatcher.offerMissing());
}
