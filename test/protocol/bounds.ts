import type { Bounds, Fault, Faults } from './world.js';

const none: Faults = {
  ...{ crash: 0, cut: 0, lose: 0, repeat: 0, fail: 0, expire: 0 },
  ...{ silent: 0, lag: 0, forget: 0, kill: 0, overtake: 0, rollback: 0 },
};
const kinds = Object.keys(none) as Fault[];

export const faults = (...names: Fault[]): Faults => ({
  ...none,
  ...(Object.fromEntries(names.map((name) => [name, 1])) as Partial<Faults>),
});

export const bounds = (given: Partial<Bounds>): Bounds => ({
  ...{ workers: 1, units: 1, steps: 2, lookAhead: 1, saves: 0, faults: none, maxStaleness: null },
  totalFaults: kinds.reduce((sum, kind) => sum + (given.faults ?? none)[kind], 0),
  ...given,
});

/** Faults that mean more where there is a checkpoint to go back to. */
const withCheckpoint: readonly Fault[] = ['kill', 'overtake', 'rollback'];

/** What is visited. */
export const whole: readonly (readonly [string, Bounds])[] = [
  ['two units a step, nothing goes wrong', bounds({ units: 2 })],
  ['two workers, nothing goes wrong', bounds({ workers: 2, units: 2, steps: 1 })],
  ['two workers, one step, lag once', bounds({ workers: 2, units: 2, steps: 1, faults: faults('lag') })],
  ...(['crash', 'cut', 'fail', 'silent'] as const).map((kind): [string, Bounds] => [
    `two workers, one unit, lag and ${kind} once`,
    bounds({ workers: 2, steps: 1, faults: faults('lag', kind) }),
  ]),
  ...kinds
    .filter((kind) => kind !== 'lag')
    .map((kind): [string, Bounds] => [
      `one worker, two steps, ${kind} once`,
      bounds({ faults: faults(kind), saves: withCheckpoint.includes(kind) ? 1 : 0 }),
    ]),
];

/** The same, where each unit is applied as it comes, on a version up to two updates old. */
export const asynchronous: readonly (readonly [string, Bounds])[] = [
  ['one worker, three units, nothing goes wrong', bounds({ steps: 3, maxStaleness: 2 })],
  ['two workers, two units, nothing goes wrong', bounds({ workers: 2, steps: 2, maxStaleness: 2 })],
  ['two workers, three units, one at a time', bounds({ workers: 2, steps: 3, maxStaleness: 1 })],
  ['two workers, two units, lag once', bounds({ workers: 2, steps: 2, maxStaleness: 2, faults: faults('lag') })],
  ...kinds
    .filter((kind) => kind !== 'lag')
    .map((kind): [string, Bounds] => [
      `one worker, two units, ${kind} once`,
      bounds({ maxStaleness: 2, faults: faults(kind), saves: withCheckpoint.includes(kind) ? 1 : 0 }),
    ]),
];

/** Too much for visiting: drawn from. */
const far: Partial<Bounds> = {
  ...{ workers: 3, units: 3, steps: 4, lookAhead: 2, saves: 2 },
  faults: {
    ...{ crash: 2, cut: 2, lose: 2, repeat: 2, fail: 2, expire: 2 },
    ...{ silent: 2, lag: 2, forget: 2, kill: 2, overtake: 2, rollback: 1 },
  },
  totalFaults: 8,
};
export const beyond: readonly (readonly [string, Bounds])[] = [
  ['leaves the same parameters', bounds(far)],
  ['applies each unit once, on a version that is not too old', bounds({ ...far, units: 1, steps: 9, maxStaleness: 4 })],
];
