import type * as tfjs from '@tensorflow/tfjs';
import { describe, expect, it, vi } from 'vitest';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import { toBfloat16 } from '@showtell/worker/engine/tensorflow/bfloat16-pass.js';
import { fuseBiases } from '@showtell/worker/engine/tensorflow/fuse-pass.js';
import { fusedOps } from '@showtell/worker/engine/tensorflow/fused-ops.js';
import { CompiledGraph } from '@showtell/worker/engine/tensorflow/compiled-graph.js';
import { DataType, simplify, typeOf } from '@showtell/worker/engine/tensorflow/graph.js';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import { recordGraph } from '@showtell/worker/engine/tensorflow/record.js';
import { haveTensorflow, tensorflow } from '../../support/tensorflow.js';

/** A processor without bfloat16 arithmetic has no kernels to run such a graph by. */
const precisions = canBfloat16(instructionSets()) ? (['float32', 'bfloat16'] as const) : (['float32'] as const);

const feed = (...shape: number[]) => ({ shape, dtype: 'float32' as const });

describe.skipIf(!haveTensorflow)('compiled graphs (skipped where the engine is not set up)', () => {
  it('compute what the recorded operations compute', () => {
    const { tf } = tensorflow();
    const formula = (x: import('@tensorflow/tfjs').Tensor, w: import('@tensorflow/tfjs').Tensor) =>
      tf.sum(tf.relu(tf.matMul(x as never, w as never)), 0);
    const x = Float32Array.from({ length: 12 }, (_, i) => i - 6);
    const w = Float32Array.from({ length: 8 }, (_, i) => i / 8 - 0.5);
    const recorded = recordGraph(tensorflow(), { x: feed(3, 4), w: feed(4, 2) }, (inputs) => ({
      y: formula(inputs.x, inputs.w),
    }));
    const graph = new CompiledGraph(tensorflow(), simplify(recorded));
    const expected = tf.tidy(() => formula(tf.tensor(x, [3, 4]), tf.tensor(w, [4, 2])).dataSync());
    expect(graph.run({ x, w })['y']).toEqual(expected);
    expect(graph.run({ x: x.map((value) => 2 * value), w })['y']).toEqual(expected.map((value) => 2 * value));
    graph.close();
  });

  it.each([
    ['a large matrix', [3, 5000]],
    ['a large filter', [3, 2, 40, 50]],
    ['a large vector', [9000]],
    ['a small one', [2, 3]],
  ])('write into shared memory: %s', (_, shape) => {
    const { tf } = tensorflow();
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    const recorded = recordGraph(tensorflow(), { x: feed(...shape) }, ({ x }) => ({
      double: tf.mul(x, 2),
      vector: tf.mul(tf.slice(tf.reshape(x, [size]), 0, 2), 3),
      sum: tf.sum(x),
    }));
    const graph = new CompiledGraph(tensorflow(), simplify(recorded), { written: ['double', 'vector'] });
    const segment = new Float32Array(allocateShared(4 * (size + 64)), 0, size + 64);
    const [double, vector] = [segment.subarray(16, 16 + size), new Float32Array(2)];
    const x = Float32Array.from({ length: size }, (_, i) => i % 7);
    const result = graph.run({ x }, { double, vector });
    expect(Object.keys(result)).toEqual(['sum']);
    expect(double).toEqual(x.map((value) => 2 * value));
    expect([...vector]).toEqual([0, 3]);
    expect([...segment.subarray(0, 16), ...segment.subarray(16 + size)].every((value) => value === 0)).toBe(true);
    if (size > 100)
      expect(() => graph.run({ x }, { double: segment.subarray(1, 1 + size), vector })).toThrow(/aligned/);
    graph.close();
  });

  it('leave no tensors behind', () => {
    const { tf, binding } = tensorflow();
    const before = { tensors: tf.memory().numTensors, native: binding.getNumOfTensors() };
    const recorded = recordGraph(tensorflow(), { x: feed(2) }, ({ x }) => ({ y: tf.keep(tf.add(x, 1)) }));
    const graph = new CompiledGraph(tensorflow(), recorded);
    graph.run({ x: new Float32Array(2) });
    expect(() => graph.run({ x: new Float32Array(3) })).toThrow();
    graph.close();
    expect({ tensors: tf.memory().numTensors, native: binding.getNumOfTensors() }).toEqual(before);
  });

  it('are handed over without a file, which a process that is killed would leave behind', () => {
    const { tf } = tensorflow();
    const recorded = recordGraph(tensorflow(), { x: feed(2) }, ({ x }) => ({ y: tf.add(x, 1) }));
    vi.stubEnv('TMPDIR', '/there/is/no/such/folder');
    const graph = new CompiledGraph(tensorflow(), recorded);
    vi.unstubAllEnvs();
    expect([...(graph.run({ x: Float32Array.of(1, 2) })['y'] ?? [])]).toEqual([2, 3]);
    graph.close();
  });

  it('are recorded without running anything, and refuse a value read in between', () => {
    const { tf, binding } = tensorflow();
    const before = binding.getNumOfTensors();
    recordGraph(tensorflow(), { x: feed(1000, 1000) }, ({ x }) => {
      let y = x;
      for (let i = 0; i < 50; i++) y = tf.matMul(y, x);
      expect(binding.getNumOfTensors()).toBe(before);
      return { y };
    });
    expect(() =>
      recordGraph(tensorflow(), { x: feed(2) }, ({ x }) => ({ y: tf.add(x, tf.mul(x, 2).dataSync()[0] ?? 0) })),
    ).toThrow(/value is read while a graph is recorded/);
    // The backend is itself again after a recording that failed.
    expect(tf.tidy(() => tf.add(1, 2).dataSync()[0])).toBe(3);
  });

  it('take tensors made outside as constants', () => {
    const { tf } = tensorflow();
    const uploaded = tf.tidy(() => tf.keep(tf.add(tf.tensor1d([1, 2]), 1)));
    const waiting = tf.tensor1d([10, 20]);
    const recorded = recordGraph(tensorflow(), { x: feed(2) }, ({ x }) => ({
      y: tf.add(tf.add(x, uploaded), waiting),
    }));
    const graph = new CompiledGraph(tensorflow(), recorded);
    expect([...(graph.run({ x: Float32Array.of(100, 200) })['y'] ?? [])]).toEqual([112, 223]);
    expect([...waiting.dataSync()]).toEqual([10, 20]);
    graph.close();
    tf.dispose([uploaded, waiting]);
  });

  it('are simplified: equal nodes once, unneeded ones not at all', () => {
    const { tf } = tensorflow();
    const recorded = recordGraph(tensorflow(), { x: feed(2) }, ({ x }) => {
      tf.exp(x);
      return { y: tf.mul(tf.add(x, tf.scalar(3)), tf.add(x, tf.scalar(3))) };
    });
    const count = (graph: typeof recorded, op: string): number => graph.nodes.filter((node) => node.op === op).length;
    expect([
      count(recorded, 'Exp'),
      count(recorded, 'AddV2') + count(recorded, 'Add'),
      count(recorded, 'Const'),
    ]).toEqual([1, 2, 2]);
    const simple = simplify(recorded);
    expect([count(simple, 'Exp'), count(simple, 'AddV2') + count(simple, 'Add'), count(simple, 'Const')]).toEqual([
      0, 1, 1,
    ]);
  });

  it.each(precisions)('take bias and ReLU into the product, in %s', (precision) => {
    const { tf, backend } = tensorflow();
    const ops = fusedOps(backend);
    const recorded = recordGraph(
      tensorflow(),
      { x: feed(1, 6, 6, 4), w: feed(3, 3, 4, 16), b: feed(16), m: feed(16, 8), c: feed(8) },
      ({ x, w, b, m, c }) => {
        const options = { stride: 1, padding: 'SAME', relu: true } as const;
        const y = ops.convBias(x as tfjs.Tensor4D, w as tfjs.Tensor4D, b as tfjs.Tensor1D, options);
        return { y: ops.product(tf.mean(y, [1, 2]), m as tfjs.Tensor2D, c as tfjs.Tensor1D) };
      },
    );
    const plain = simplify(precision === 'bfloat16' ? toBfloat16(recorded) : recorded);
    const fused = simplify(fuseBiases(plain));
    const opsOf = (graph: typeof recorded) =>
      graph.nodes.map((node) => node.op).filter((op) => /Conv|MatMul|Bias|Relu/.test(op));
    expect(opsOf(plain)).toEqual(['Conv2D', 'BiasAdd', 'Relu', 'MatMul', 'BiasAdd']);
    const form = precision === 'bfloat16' ? '_MklNativeFusedConv2D' : '_FusedConv2D';
    expect(opsOf(fused)).toEqual([form, '_FusedMatMul']);
    const values = (size: number, step: number) =>
      Float32Array.from({ length: size }, (_, i) => ((i * step) % 23) / 23 - 0.5);
    const inputs = { x: values(144, 37), w: values(576, 53), b: values(16, 7), m: values(128, 31), c: values(8, 11) };
    const [wanted, got] = [plain, fused].map((graph) => {
      const compiled = new CompiledGraph(tensorflow(), graph);
      const { y } = compiled.run(inputs);
      compiled.close();
      return [...(y ?? [])];
    });
    const near = precision === 'bfloat16' ? 0.02 : 1e-6;
    expect(Math.max(...(wanted ?? []).map((value, i) => Math.abs(value - (got?.[i] ?? NaN))))).toBeLessThan(near);
  });

  it.skipIf(!canBfloat16(instructionSets()))(
    'in bfloat16 (skipped where the processor has none) multiply in bfloat16 and sum, store and return float32',
    () => {
      const { tf } = tensorflow();
      const recorded = recordGraph(tensorflow(), { x: feed(1, 6, 6, 4), w: feed(3, 3, 4, 8) }, ({ x, w }) => ({
        y: tf.mean(tf.relu(tf.conv2d(x as never, w as never, 1, 'same')), [1, 2]),
      }));
      const low = simplify(toBfloat16(recorded));
      const dtype = (op: string) => low.nodes.filter((node) => node.op === op).map((node) => node.outputs[0]?.dtype);
      expect(dtype('Conv2D')).toEqual([DataType.bfloat16]);
      expect(dtype('Relu')).toEqual([DataType.bfloat16]);
      expect(dtype('Mean')).toEqual([DataType.float]);
      expect([...low.fetches.values()].map((output) => typeOf(output).dtype)).toEqual([DataType.float]);
      const x = Float32Array.from({ length: 144 }, (_, i) => ((i * 37) % 23) / 23 - 0.5);
      const w = Float32Array.from({ length: 288 }, (_, i) => ((i * 53) % 29) / 29 - 0.5);
      const [graph, exact] = [low, recorded].map((each) => new CompiledGraph(tensorflow(), each));
      const got = graph?.run({ x, w })['y'] ?? [];
      const wanted = exact?.run({ x, w })['y'] ?? [];
      const largest = Math.max(...wanted);
      got.forEach((value, i) => expect(Math.abs(value - (wanted[i] ?? 0))).toBeLessThan(0.02 * largest));
      expect([...got]).not.toEqual([...wanted]);
      graph?.close();
      exact?.close();
    },
  );
});
