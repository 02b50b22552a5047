import { hashTensors } from '@showtell/shared/tensors/hash.js';
import { type ParameterLayout, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';

const f = Math.fround;

/** One unit's gradient for {@link referenceStep}: dense values in the layout's segments. */
export interface ReferenceUnit {
  readonly examples: number;
  readonly gradient: Segments;
}

export type ReferenceOptimizer =
  | { readonly name: 'sgd' }
  | { readonly name: 'momentum'; readonly momentum: number }
  | { readonly name: 'rmsprop'; readonly decay: number; readonly momentum: number; readonly epsilon: number }
  | { readonly name: 'adam'; readonly beta1: number; readonly beta2: number; readonly epsilon: number }
  | { readonly name: 'adagrad'; readonly initialAccumulator: number };

/** What the optimizer keeps: two values a parameter at most, and how many updates it has made. */
export interface ReferenceState {
  readonly slots: readonly [Segments, Segments];
  updates: number;
}

export interface ReferenceOptions {
  readonly phase: 'decoder-only' | 'joint';
  readonly learningRate: number;
  readonly optimizer: ReferenceOptimizer;
  readonly clip: number;
  readonly l2: number;
  readonly decay: number;
  readonly decays: ReadonlySet<string>;
}

/**
 * One update written down anew from docs/checkpoints.md, element by element and without blocks, threads or files: what
 * the parameter server's bits are held against.
 */
export function referenceStep(
  layout: ParameterLayout,
  units: readonly ReferenceUnit[],
  parameters: Segments,
  state: ReferenceState,
  options: ReferenceOptions,
): { norm: number } {
  const total = units.reduce((sum, unit) => sum + unit.examples, 0);
  if (total === 0) return { norm: 0 };
  const trained = layout.entries.filter(
    ({ segment }) => options.phase === 'joint' || segment === 'decoder' || segment === 'embedding',
  );
  const gradients = new Map<string, Float32Array>();
  let squares = 0;
  for (const entry of trained) {
    const gradient = new Float32Array(entry.size);
    const p = tensorView(parameters, entry);
    for (let i = 0; i < entry.size; i++) {
      const leaves = units.map(({ examples, gradient: g }) =>
        examples === 0 ? 0 : f((tensorView(g, entry)[i] ?? 0) * f(examples)),
      );
      let value = f(treeSum(leaves) / f(total));
      if (options.phase === 'joint' && options.decays.has(entry.name))
        value = f(value + f(f(options.l2) * (p[i] ?? 0)));
      gradient[i] = value;
    }
    gradients.set(entry.name, gradient);
    if (entry.segment === 'statistics') continue;
    for (let start = 0; start < entry.size; start += 65_536) {
      const lanes = [0, 0, 0, 0];
      gradient.subarray(start, start + 65_536).forEach((value, i) => (lanes[i % 4]! += value * value));
      squares += lanes[0]! + lanes[1]! + (lanes[2]! + lanes[3]!);
    }
  }
  const norm = Math.sqrt(squares);
  const scale = f(options.clip / Math.max(norm, options.clip));
  state.updates += 1;
  const descend = descent(options.optimizer, f(options.learningRate), state.updates);
  for (const entry of trained) {
    const p = tensorView(parameters, entry);
    const [a, b] = state.slots.map((slot) => tensorView(slot, entry)) as [Float32Array, Float32Array];
    const g = gradients.get(entry.name)!;
    for (let i = 0; i < entry.size; i++) {
      if (entry.segment === 'statistics') p[i] = f(p[i]! - f(f(p[i]! - g[i]!) * f(1 - options.decay)));
      else [p[i], a[i], b[i]] = descend(p[i]!, f(scale * g[i]!), a[i]!, b[i]!) as [number, number, number];
    }
  }
  return { norm };
}

type Descent = (p: number, g: number, a: number, b: number) => readonly [p: number, a: number, b: number];

/** One value's update, `a` and `b` being what is kept of it. */
function descent(optimizer: ReferenceOptimizer, rate: number, update: number): Descent {
  switch (optimizer.name) {
    case 'sgd':
      return (p, g, a, b) => [f(p - f(rate * g)), a, b];
    case 'momentum':
      return (p, g, a, b) => {
        const v = f(f(f(optimizer.momentum) * a) + g);
        return [f(p - f(rate * v)), v, b];
      };
    case 'rmsprop':
      return (p, g, a, b) => {
        const square = f(a + f(f(f(g * g) - a) * f(1 - f(optimizer.decay))));
        const v = f(f(f(optimizer.momentum) * b) + f(f(rate * g) / f(Math.sqrt(f(square + f(optimizer.epsilon))))));
        return [f(p - v), square, v];
      };
    case 'adam': {
      let power1 = f(optimizer.beta1);
      let power2 = f(optimizer.beta2);
      for (let i = 1; i < update; i++) {
        power1 = f(power1 * f(optimizer.beta1));
        power2 = f(power2 * f(optimizer.beta2));
      }
      const corrected = f(f(rate * f(Math.sqrt(f(1 - power2)))) / f(1 - power1));
      return (p, g, a, b) => {
        const mean = f(a + f(f(g - a) * f(1 - f(optimizer.beta1))));
        const square = f(b + f(f(f(g * g) - b) * f(1 - f(optimizer.beta2))));
        return [f(p - f(f(corrected * mean) / f(f(Math.sqrt(square)) + f(optimizer.epsilon)))), mean, square];
      };
    }
    case 'adagrad':
      return (p, g, a, b) => {
        const square = f(a + f(g * g));
        return [f(p - f(f(rate * g) / f(Math.sqrt(square)))), square, b];
      };
  }
}

/** Neighbours are added level by level; an odd last one passes up. */
function treeSum(leaves: readonly number[]): number {
  if (leaves.length === 1) return leaves[0]!;
  const next: number[] = [];
  for (let i = 0; i < leaves.length; i += 2)
    next.push(i + 1 < leaves.length ? f(leaves[i]! + leaves[i + 1]!) : leaves[i]!);
  return treeSum(next);
}

export function hashSegments(layout: ParameterLayout, segments: Segments): string {
  return hashTensors(
    layout.entries.map((entry) => ({ name: entry.name, shape: entry.shape, values: tensorView(segments, entry) })),
  );
}
