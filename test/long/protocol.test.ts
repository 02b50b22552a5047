import { expect, it } from 'vitest';
import { product } from '../protocol/coordinator.js';
import { explore } from '../protocol/explore.js';
import { asynchronous, whole } from '../protocol/bounds.js';
import { kept } from '../support/kept.js';

it.each([...whole, ...asynchronous.map(([name, given]) => [`asynchronous, ${name}`, given] as const)])(
  'every order of events: %s',
  async (name, given) => {
    const visit = async () => {
      const explored = await explore(given, product);
      expect(explored.violation).toBeNull();
      return explored;
    };
    const { whole: isWhole, states, transitions, depth } = await kept(`every order of events: ${name}`, visit);
    process.stdout.write(`${name}: ${states} states, ${transitions} transitions, at most ${depth} events\n`);
    expect(isWhole).toBe(true);
  },
  3_600_000,
);
