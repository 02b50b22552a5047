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

async function replay(bounds: Bounds, parts: Product, path: readonly string[]): Promise<World> {
  const world = new World(bounds, parts);
  await new Promise((resolve) => setImmediate(resolve));
  for (const action of path) await world.do(action);
  return world;
}

/**
 * Lets everything happen that can, in turn, with one worker and nothing going wrong any more.
 * @throws Violation when the run does not end
 */
export async function finish(world: World): Promise<void> {
  world.loseWorkersButOne();
  for (let round = 0; round < roundsOfProgress; round++) {
    if (world.final !== null) return;
    for (const action of world.steps()) if (world.steps().includes(action)) await world.do(action);
  }
  throw new Violation(`no progress with one live worker: it can still ${world.steps().join(', ') || 'do nothing'}`);
}

/**
 * Visits every state that any order of events leads to, breadth first, states that are alike once. From each the run must
 * be able to end, with one worker, with each unit of each step counted once.
 *
 * @param limit stops after so many states
 */
export async function explore(bounds: Bounds, parts: Product, limit = Infinity): Promise<Explored> {
  const seen = new Set<string>();
  let frontier: (readonly string[])[] = [[]];
  let [transitions, depth] = [0, 0];
  const at = (whole: boolean, violation: Explored['violation'] = null): Explored => ({
    ...{ states: seen.size, transitions, depth, whole, violation },
  });
  for (; frontier.length > 0; depth++) {
    const next: (readonly string[])[] = [];
    for (const path of frontier) {
      using world = await replay(bounds, parts, path);
      for (const action of [...world.steps(), ...world.faults()]) {
        transitions++;
        const further = [...path, action];
        try {
          using there = await replay(bounds, parts, further);
          const state = there.describe();
          if (seen.has(state)) continue;
          seen.add(state);
          next.push(further);
          await finish(there);
        } catch (error) {
          if (!(error instanceof Violation)) throw error;
          return at(false, { message: error.message, path: further });
        }
        if (seen.size >= limit) return at(false);
      }
    }
    frontier = next;
  }
  return at(true);
}
