import { random } from '../random.js';
import { sizeOf } from '../tensors/layout.js';
import type { ParameterSpec } from './parameters.js';

/**
 * A parameter's first values: a function of the seed and its own name alone, so neither the other parameters nor their
 * order enters.
 * @param into where they go, of the parameter's size; a new array by default
 */
export function initializeParameter(
  seed: number,
  spec: ParameterSpec,
  into: Float32Array = new Float32Array(sizeOf(spec.shape)),
): Float32Array {
  const { initializer } = spec;
  const stream = random(seed, 'initialize', spec.name);
  switch (initializer.kind) {
    case 'zeros':
      return into.fill(0);
    case 'ones':
      return into.fill(1);
    case 'uniform':
      return stream.fillUniform(into, -initializer.scale, initializer.scale);
    case 'truncated-normal':
      return stream.fillTruncatedNormal(into, initializer.stddev);
  }
}

/** First values of all parameters, by name. */
export function initializeModel(seed: number, specs: readonly ParameterSpec[]): Map<string, Float32Array> {
  return new Map(specs.map((spec) => [spec.name, initializeParameter(seed, spec)]));
}
