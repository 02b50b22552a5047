import { expect, it } from 'vitest';
import { LeftGradients } from '@showtell/coordinator/parameter-server/left-gradients.js';
import type { ReceivedLeaf } from '@showtell/coordinator/parameter-server/shard.js';
import { GradientHeader } from '@showtell/shared/generated/showtell/v1/parameters.js';

const header = (worker: string, step: number, version = step, attempt = 1): GradientHeader => ({
  ...GradientHeader.decode(new Uint8Array()),
  worker,
  unit: { run: 'r', generation: 1, lineage: 1, step, index: 0, attempt, evaluation: false },
  version: { generation: 1, lineage: 1, step: version },
});
const wanted = (worker: string, step: number, attempt = 1) => ({ step, index: 0, worker, attempt });

/** What was released, in order. */
function leaves(): { released: string[]; leaf: (name: string) => ReceivedLeaf } {
  const released: string[] = [];
  return { released, leaf: (name) => ({ leaf: { kind: 'zero' }, release: () => void released.push(name) }) };
}

it('gives what a worker left of a unit once, by its last attempt', () => {
  const { released, leaf } = leaves();
  const left = new LeftGradients(1);
  left.put(header('a', 3), leaf('first'));
  left.put(header('a', 3, 3, 2), leaf('second'));
  expect(released).toEqual(['first']);
  expect(left.take(wanted('a', 3, 1))).toBeNull();
  expect(left.take(wanted('b', 3, 2))).toBeNull();
  expect(left.take(wanted('a', 3, 2))).not.toBeNull();
  expect(left.take(wanted('a', 3, 2))).toBeNull();
  // It is the taker's to release.
  expect(released).toEqual(['first']);
});

it('gives up the oldest of whoever left most', () => {
  const { released, leaf } = leaves();
  const left = new LeftGradients(1);
  left.put(header('quiet', 0), leaf('quiet'));
  for (const step of [1, 2, 3, 4]) left.put(header('loud', step), leaf(`loud ${step}`));
  expect(released).toEqual(['loud 1']);
  expect(left.take(wanted('quiet', 0))).not.toBeNull();
});

it('keeps what may still count where units are applied as they come', () => {
  const { released, leaf } = leaves();
  const left = new LeftGradients(4);
  left.put(header('a', 9, 5), leaf('of version 5'));
  left.put(header('b', 8, 6), leaf('of version 6'));
  left.forget(6);
  expect(released).toEqual(['of version 5']);
  left.forget();
  expect(released).toEqual(['of version 5', 'of version 6']);
});

it('keeps nothing of a worker that is gone: what it left may be gone too', () => {
  const { released, leaf } = leaves();
  const left = new LeftGradients(2);
  left.put(header('a', 1), leaf('a 1'));
  left.put(header('b', 1), leaf('b 1'));
  left.put(header('a', 2), leaf('a 2'));
  left.forgetWorker('a');
  expect(released).toEqual(['a 1', 'a 2']);
  expect([left.take(wanted('a', 1)), left.take(wanted('b', 1))]).toEqual([null, expect.anything()]);
});
