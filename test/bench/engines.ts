import { instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import type { BenchFigure } from './figure.js';
import { type Measured, type StepOptions, best, showtellStep } from './run-step.js';

/** Rounds of each side; the two take turns, so that what else the machine does meets both. */
const rounds = 2;

/**
 * The demo's steps on the wasm engine beside those on compiled TensorFlow graphs, a thread each: what a machine without
 * Python and a compiler pays.
 */
export async function* benchEngines(): AsyncGenerator<BenchFigure> {
  for (const kind of ['joint', 'features'] as const) {
    const demo: StepOptions = {
      ...{ name: 'inception_v3', size: 80, depthMultiplier: 0.25, kind, precision: 'float32', steps: 6, threads: 1 },
      ...{ batch: { B: 32, T: 16 }, decoder: { embedding: 128, units: 128, vocabulary: 256 } },
    };
    const wasm: Measured[] = [];
    const tensorflow: Measured[] = [];
    for (let round = 0; round < rounds; round++) {
      wasm.push(await showtellStep({ ...demo, engine: 'wasm' }));
      tensorflow.push(await showtellStep({ ...demo, engine: 'tensorflow' }));
    }
    const [ours, peer] = [best(wasm), best(tensorflow)];
    const what = kind === 'joint' ? 'joint' : 'decoder-only';
    const row = (name: string, value: number, other: number, unit: 'ms' | 'MiB'): BenchFigure => ({
      name: `${name}, wasm beside tensorflow (${instructionSets().at(-1) ?? 'no instruction sets'})`,
      ours: value,
      peer: other,
      ratio: value / other,
      target: null,
      unit,
      command: 'npm run bench -- --only engines',
    });
    yield row(`the demo's ${what} step`, ours.step, peer.step, 'ms');
    yield row(`the demo's ${what} step, peak memory`, ours.peak, peer.peak, 'MiB');
  }
}
