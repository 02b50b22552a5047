import type { Product } from './coordinator.js';
import { Violation } from './violation.js';
import { World, type Bounds } from './world.js';

export interface Explored {
  /** States that differ in more than the names of workers. */
  readonly states: number;
  readonly transitions: number;
  /** Things that happened on the longest way to a state. */
  readonly depth: number;
  /** Whether all states within the bounds were seen. */
  readonly whole: boolean;
  /** The first thing that must never happen, with the shortest way there; null when all is well. */
  readonly violation: { readonly message: string; readonly path: readonly string[] } | null;
}

/** A fault-free run needs far fewer; who is not done by then will never be. */
const roundsOfProgress = 200;

/** States of which it is known that a run ends from them; those on the way there, too. */
type Ending = Set<string>;

async function replay(bounds: Bounds, parts: Product, path: readonly string[]): Promise<World> {
  const world = new World(bounds, parts);
  await new Promise((resolve) => setImmediate(resolve));
  for (const action of path) await world.do(action);
  return world;
}

/**
 * Lets everything happen that can, in turn, with one worker and nothing going wrong any more.
 * @param ending states from which that has ended before; those on the way are added when it ends
 * @throws Violation when the run does not end
 */
export async function finish(world: World, ending: Ending = new Set()): Promise<void> {
  world.loseWorkersButOne();
  const way: string[] = [];
  for (let round = 0; round < roundsOfProgress; round++) {
    const state = world.describe();
    if (world.final !== null || ending.has(state)) {
      for (const passed of way) ending.add(passed);
      return;
    }
    way.push(state);
    for (const action of world.steps()) if (world.steps().includes(action)) await world.do(action);
  }
  throw new Violation(`no progress with one live worker: it can still ${world.steps().join(', ') || 'do nothing'}`);
}

/** A state that is to be gone on from. */
interface Open {
  readonly path: readonly string[];
  readonly actions: readonly string[];
}

const actionsOf = (world: World): string[] => [...world.steps(), ...world.faults()];

/** So many orders of events are gone through beside one another: they mostly wait for the event loop. */
const beside = 64;

/**
 * Visits every state that any order of events leads to, breadth first, states that are alike once. From each the run must
 * be able to end, with one worker, with each unit of each step counted once.
 *
 * @param limit stops after so many states
 */
export async function explore(bounds: Bounds, parts: Product, limit = Infinity): Promise<Explored> {
  const seen = new Set<string>();
  const ending: Ending = new Set();
  using first = await replay(bounds, parts, []);
  let frontier: readonly Open[] = [{ path: [], actions: actionsOf(first) }];
  let [transitions, depth] = [0, 0];
  const at = (whole: boolean, violation: Explored['violation'] = null): Explored => ({
    ...{ states: seen.size, transitions, depth, whole, violation },
  });
  /** @returns the state that is new; null for one that is known */
  const goOn = async (path: readonly string[]): Promise<Open | null> => {
    using there = await replay(bounds, parts, path);
    const state = there.describe();
    if (seen.has(state)) return null;
    seen.add(state);
    const open = { path, actions: actionsOf(there) };
    await finish(there, ending);
    return open;
  };
  for (; frontier.length > 0; depth++) {
    const next: Open[] = [];
    const ways = frontier.flatMap(({ path, actions }) => actions.map((action) => [...path, action]));
    for (let from = 0; from < ways.length; from += beside) {
      const batch = ways.slice(from, from + beside);
      transitions += batch.length;
      const ends = await Promise.allSettled(batch.map(goOn));
      for (const [i, end] of ends.entries()) {
        if (end.status === 'fulfilled') {
          if (end.value !== null) next.push(end.value);
        } else if (end.reason instanceof Violation)
          return at(false, { message: end.reason.message, path: batch[i] ?? [] });
        else throw end.reason;
      }
      if (seen.size >= limit) return at(false);
    }
    frontier = next;
  }
  return at(true);
}
