import { type ConvLayer, type PoolLayer, outputSide, walkNetwork } from './network.js';
import { type EncoderWidth, networkOf } from './parameters.js';

/** Whether every layer of the encoder has something to put out for a square image of this side. */
export function fits(encoder: Pick<EncoderWidth, 'name'>, side: number): boolean {
  let isFitting = true;
  const checked = (from: number, kernel: readonly number[], layer: Pick<PoolLayer, 'stride' | 'padding'>): number => {
    const sides = kernel.map((taps) => outputSide(from, taps, layer.stride, layer.padding));
    const smallest = Math.min(...sides);
    if (smallest < 1) isFitting = false;
    return smallest;
  };
  const sides = {
    conv: (layer: ConvLayer, from: number) => checked(from, layer.kernel, layer),
    pool: (layer: PoolLayer, from: number) => checked(from, [layer.size], layer),
    concat: (values: readonly number[]) => Math.min(...values),
    add: (input: number) => input,
  };
  walkNetwork(networkOf(encoder), 1, sides, side);
  return isFitting;
}

/** Side of the smallest square image that the encoder takes, in pixels. */
export function smallestSize(encoder: Pick<EncoderWidth, 'name'>): number {
  let side = 1;
  while (!fits(encoder, side)) side++;
  return side;
}
