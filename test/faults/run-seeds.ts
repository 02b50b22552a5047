import type { Cluster } from './lab-job.js';
import type { Lab } from './lab.js';
import { runSchedule, undisturbed, type SeedResult } from './run-seed.js';
import { chain, drawSchedule, tell, type Schedule } from './schedule.js';
import { shrink } from './shrink.js';

export interface RunSeedsOptions {
  /** Runs side by side. */
  readonly atOnce: number;
  /** Whether further seeds follow one that fails. */
  readonly keepGoing: boolean;
  /** How many seeds' schedules are done to one run. */
  readonly chained: number;
  readonly shrinks: boolean;
  readonly cluster?: Cluster;
  readonly say: (text: string) => void;
  /** Aborted: no further seed, and those under way are broken off. */
  readonly signal?: AbortSignal;
}

/** Runs the schedules of the seeds, a few at a time. @returns the results, in the order of their ends */
export async function runSeeds(lab: Lab, seeds: readonly number[], options: RunSeedsOptions): Promise<SeedResult[]> {
  const { atOnce, keepGoing, chained, shrinks, cluster = 'whole', say, signal } = options;
  const references = undisturbed(lab, signal);
  const lacking = new Set(lab.lacking.keys());
  const waiting = [...seeds];
  const next = (): Schedule | null => {
    const together = waiting.splice(0, chained).map((seed) => drawSchedule(seed, lacking, cluster));
    return together.length === 0 ? null : chain(together);
  };
  const results: SeedResult[] = [];
  let failed = false;
  const isAborted = (): boolean => signal?.aborted === true;
  const one = async (): Promise<void> => {
    for (let schedule = next(); schedule !== null; schedule = next()) {
      const { seed } = schedule;
      if ((failed && !keepGoing) || isAborted()) return;
      const result = await runSchedule(lab, schedule, references, `${cluster}-${seed}`, signal);
      if (isAborted()) return;
      results.push(result);
      say(`seed ${seed}: ${result.seconds.toFixed(1)} s, ${result.done.join(', ')}`);
      if (result.complaints.length === 0) continue;
      failed = true;
      let tried = 0;
      const fails = async (smaller: Schedule): Promise<boolean> =>
        (await runSchedule(lab, smaller, references, `${cluster}-${seed}-${++tried}`)).complaints.length > 0;
      say(tellFailure(shrinks ? { ...result, schedule: await shrink(schedule, fails) } : result));
    }
  };
  // Where the lab itself fails, runs under way still go through their end, which kills what they started.
  const ends = await Promise.allSettled(
    Array.from({ length: atOnce }, () =>
      one().catch((error: unknown) => {
        waiting.length = 0;
        throw error;
      }),
    ),
  );
  const fault = ends.find((end) => end.status === 'rejected');
  if (fault !== undefined) throw fault.reason;
  return results;
}

/** What does not hold, with the schedule and how to do it again. */
export function tellFailure({ schedule, complaints, logs }: SeedResult): string {
  const { seed, schedules, cluster } = schedule;
  const on = cluster === 'whole' ? '' : ` --cluster ${cluster}`;
  const which = schedules === 1 ? `--seed ${seed}` : `--from ${seed} --seeds ${schedules} --chain ${schedules}`;
  const again = `again: npm run faults -- ${which}${on}`;
  return [logs, tell(schedule), ...complaints.map((complaint) => `  ✗ ${complaint}`), again].join('\n');
}
