import { expect, it } from 'vitest';
import { product } from '../protocol/coordinator.js';
import { explore } from '../protocol/explore.js';
import { asynchronous, whole } from '../protocol/bounds.js';

it.each([...whole, ...asynchronous.map(([name, given]) => [`asynchronous, ${name}`, given] as const)])(
  'every order of events: %s',
  async (name, given) => {
    const { violation, whole: isWhole, states, transitions, depth } = await explore(given, product);
    process.stdout.write(`${name}: ${states} states, ${transitions} transitions, at most ${depth} events\n`);
    expect(violation).toBeNull();
    expect(isWhole).toBe(true);
  },
  3_600_000,
);
