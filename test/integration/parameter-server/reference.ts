import { hashTensors } from '@showtell/shared/tensors/hash.js';
import { type ParameterLayout, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';

const f = Math.fround;

/** One unit's gradient for {@link referenceStep}: dense values in the layout's segments. */
export interface ReferenceUnit {
  readonly examples: number;
  readonly gradient: Segments;
}

export interface ReferenceOptions {
  readonly phase: 'decoder-only' | 'joint';
  readonly learningRate: number;
  readonly momentum: number | null;
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
  velocity: Segments | null,
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
  for (const entry of trained) {
    const p = tensorView(parameters, entry);
    const g = gradients.get(entry.name)!;
    for (let i = 0; i < entry.size; i++) {
      if (entry.segment === 'statistics') p[i] = f(p[i]! - f(f(p[i]! - g[i]!) * f(1 - options.decay)));
      else if (velocity === null || options.momentum === null)
        p[i] = f(p[i]! - f(f(options.learningRate) * f(scale * g[i]!)));
      else {
        const v = tensorView(velocity, entry);
        v[i] = f(f(f(options.momentum) * v[i]!) + f(scale * g[i]!));
        p[i] = f(p[i]! - f(f(options.learningRate) * v[i]!));
      }
    }
  }
  return { norm };
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
