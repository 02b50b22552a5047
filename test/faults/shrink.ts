import type { Schedule } from './schedule.js';

/** Smaller schedules: each without one fault, the later ones left out first. */
export function smaller(schedule: Schedule): Schedule[] {
  const { faults } = schedule;
  return faults.map((_, i) => ({ ...schedule, faults: faults.toSpliced(faults.length - 1 - i, 1) }));
}

/**
 * The smallest schedule found that fails still, by leaving out one fault after the other.
 *
 * @param fails runs a schedule. A failure that depends on the machine's timing may not come again: then what came last stays.
 */
export async function shrink(schedule: Schedule, fails: (schedule: Schedule) => Promise<boolean>): Promise<Schedule> {
  for (const candidate of smaller(schedule))
    if (candidate.faults.length > 0 && (await fails(candidate))) return shrink(candidate, fails);
  return schedule;
}
