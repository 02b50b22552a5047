import { expect } from 'vitest';
import type { Computed } from './our-captioner.js';

/** Log-probabilities of words and captions to 1e-4, captions the same, features to 1e-5 of the largest. */
export function agree(ours: Computed, other: Computed): void {
  const largest = Math.max(...other.features.flat().map(Math.abs));
  const features = apart(ours.features.flat(), other.features.flat()) / largest;
  const words = apart(ours.logprobs.flat(2), other.logprobs.flat(2));
  const [found, expected] = [ours.captions.flat(), other.captions.flat()];
  expect(found.map(({ caption }) => caption)).toEqual(expected.map(({ caption }) => caption));
  const logprobs = apart(
    found.map(({ logprob }) => logprob),
    expected.map(({ logprob }) => logprob),
  );
  expect(features).toBeLessThan(1e-5);
  expect(words).toBeLessThan(1e-4);
  expect(logprobs).toBeLessThan(1e-4);
  // Pictures tell: the numbers hang on the encoder.
  const [first, second] = other.logprobs.map((each) => each.flat());
  expect(apart(first ?? [], second ?? [])).toBeGreaterThan(0.01);
}

/** The largest difference. */
export function apart(ours: readonly number[], theirs: readonly number[]): number {
  expect(ours.length).toBe(theirs.length);
  return ours.reduce((most, value, i) => Math.max(most, Math.abs(value - (theirs[i] ?? NaN))), 0);
}
