import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Dispatcher } from '@showtell/coordinator/dispatcher.js';
import type { OfferCause, OfferedUnit, OfferedUnits, OfferReason } from '@showtell/coordinator/offered-units.js';
import { judge } from '@showtell/coordinator/parameter-server/verdict.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { product, type Product } from './coordinator.js';
import { explore, finish } from './explore.js';
import { asynchronous, beyond, bounds, faults, whole } from './bounds.js';
import { World, type Bounds } from './world.js';

/** What a whole visit takes too long for here is visited in part, and wholly by "npm run test:long". */
const mostStates = 2_000;

describe.each([
  ['synchronous', whole],
  ['asynchronous', asynchronous],
])('%s: every order of events within a bound', (_mode, all) => {
  it.each(all)(
    '%s: each unit counts once, and the run can always end',
    async (_, given) => {
      const explored = await explore(given, product, mostStates);
      expect(explored.violation).toBeNull();
      expect(explored.whole || explored.states >= mostStates).toBe(true);
    },
    120_000,
  );
});

/** What a dispatcher with a mistake in it does otherwise. */
interface Inside {
  readonly units: OfferedUnits;
  publish(unit: OfferedUnit): Promise<unknown>;
  publishAgain(unit: OfferedUnit, lane: 'now', cause: OfferCause): Promise<void>;
}

const inside = (dispatcher: Dispatcher): Inside => dispatcher as unknown as Inside;

/** Mistakes that one could make, each with what must go wrong for it to show. */
const mistakes: [string, Partial<Product>, Bounds, RegExp][] = [
  [
    'a unit is counted whoever else computed it',
    { judge: (header, expected) => judge(header, { ...expected, counted: new Map() }) },
    bounds({ units: 2, steps: 1, faults: faults('repeat') }),
    /counts twice/u,
  ],
  [
    'a gradient of an older version is taken',
    {
      judge: (header, expected) =>
        judge(header, { ...expected, step: header.version?.step ?? 0, counted: new Map(), units: 9 }),
    },
    bounds({ workers: 2, faults: faults('silent', 'repeat') }),
    /counts in (step|the step after)/u,
  ],
  [
    'a gradient from before a rollback is taken',
    { judge: (header, expected) => judge(header, { ...expected, lineage: header.version?.lineage ?? 0 }) },
    bounds({ steps: 3, faults: faults('rollback') }),
    /counts in the step after/u,
  ],
  [
    'an offer made again has the id of the one before, which the broker drops',
    {
      Dispatcher: class extends Dispatcher {
        override async offerAgain(id: UnitId): Promise<void> {
          const unit = inside(this).units.get(id);
          if (unit !== null) await inside(this).publish.call(this, unit);
        }
      },
    },
    bounds({ faults: faults('fail') }),
    /no progress/u,
  ],
  [
    'a unit of a later step is offered again before those of the current one',
    {
      Dispatcher: class extends Dispatcher {
        override async offerAgain(id: UnitId, reason: OfferReason, detail: string): Promise<void> {
          const unit = inside(this).units.get(id);
          if (unit !== null) await inside(this).publishAgain.call(this, unit, 'now', { reason, detail });
        }
      },
    },
    bounds({ faults: faults('silent', 'forget') }),
    /no progress/u,
  ],
  [
    'what the broker forgot is not published anew',
    { restoresQueue: false },
    bounds({ faults: faults('forget') }),
    /no progress/u,
  ],
  [
    'a worker settles a unit before the verdict on it is in',
    { settlesByVerdict: false },
    bounds({ faults: faults('lose') }),
    /no progress/u,
  ],
  [
    'a unit that a second worker was asked for is offered no more when both are gone',
    {
      Dispatcher: class extends Dispatcher {
        override offerLagging(...lagging: Parameters<Dispatcher['offerLagging']>): void {
          super.offerLagging(...lagging);
          const { units } = inside(this);
          for (const [key, { triedBy }] of units.all) if (triedBy.size > 0) units.settle(key);
        }
      },
    },
    bounds({ workers: 2, steps: 1, faults: faults('lag', 'fail') }),
    /no progress/u,
  ],
  [
    'a coordinator that was overtaken goes on',
    { assertsGeneration: false },
    bounds({ faults: faults('overtake') }),
    /another has overtaken/u,
  ],
  [
    'asynchronous: a unit that is applied is applied again',
    {
      judge: (header, { asynchronous, ...rest }) => {
        const applied = { has: () => false, by: () => null };
        return judge(header, { ...rest, asynchronous: asynchronous && { ...asynchronous, applied } });
      },
    },
    bounds({ maxStaleness: 2, faults: faults('repeat') }),
    /counts twice/u,
  ],
  [
    'asynchronous: any version will do for a unit, and any gradient counts',
    {
      judge: (header, { asynchronous, ...rest }) =>
        judge(header, { ...rest, asynchronous: asynchronous && { ...asynchronous, maxStaleness: Infinity } }),
      Dispatcher: class extends Dispatcher {
        override advance(...[step, open, phase]: Parameters<Dispatcher['advance']>): Promise<void> {
          return super.advance(step, { ...open, oldestVersion: () => 0 }, phase);
        }
      },
    },
    bounds({ workers: 2, steps: 4, maxStaleness: 2 }),
    /counts 3 updates later/u,
  ],
  [
    'asynchronous: units that a checkpoint lacks are forgotten',
    {
      Dispatcher: class extends Dispatcher {
        override restart(...[step, lineage]: Parameters<Dispatcher['restart']>): Promise<void> {
          return super.restart(step, lineage);
        }
      },
    },
    bounds({ steps: 3, maxStaleness: 2, faults: faults('kill'), saves: 1 }),
    /no progress|ended with/u,
  ],
  [
    'asynchronous: a unit computed with too old a version is offered no more',
    {
      judge: (header, { asynchronous, ...rest }) =>
        judge(header, { ...rest, asynchronous: asynchronous && { ...asynchronous, maxStaleness: 0 } }),
      Dispatcher: class extends Dispatcher {
        override async overtaken(): Promise<void> {}
      },
    },
    bounds({ workers: 2, steps: 2, maxStaleness: 2 }),
    /no progress/u,
  ],
];

describe('a mistake is found', () => {
  it.each(mistakes)('%s', async (_, mistake, given, message) => {
    const { violation } = await explore(given, { ...product, ...mistake }, 60_000);
    expect(violation?.message).toMatch(message);
  });
});

describe('beyond the bound', () => {
  it.each(beyond)(
    'any order of events, drawn at random, %s',
    async (_, given) => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.nat({ max: 1e6 }), { minLength: 20, maxLength: 120 }), async (draws) => {
          using world = new World(given, product);
          for (const draw of draws) {
            const [steps, wrong] = [world.steps(), world.faults()];
            // One in ten goes wrong.
            const among = draw % 10 === 0 && wrong.length > 0 ? wrong : steps;
            const action = among[Math.floor(draw / 10) % among.length];
            if (action === undefined) break;
            await world.do(action);
          }
          await finish(world);
        }),
        { numRuns: 300 },
      );
    },
    120_000,
  );
});
