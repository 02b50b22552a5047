import * as tf from '@tensorflow/tfjs-core';
import { type Kernels, FLOAT, differentiable } from './kernels.js';

/** What the gradient needs of each step: i, c, f, o, j and tanh(c), as LSTMBlockCellGrad takes them. */
const perStep = 6;

/**
 * The whole sequence as one differentiable operation. The inputs' part of every step's product is one MatMul before the
 * loop, and the kernel's gradient one MatMul after it: a step in between touches only the [U, 4·U] rows of h, once
 * forward and once backward. Within a step the backward elementwise part is one kernel, LSTMBlockCellGrad, whose gates
 * are ordered as im2txt's.
 */
export function fusedLstm(kernels: Kernels, x: tf.Tensor3D, kernel: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor3D {
  const { run, runAll, product, productTransposedA, productTransposedB, biasAdd, biasGradient, attributes } = kernels;
  const float = attributes.type('T', FLOAT);
  const [T, B, E] = x.shape;
  const U = bias.size / 4;
  const unary = (op: string, a: tf.Tensor) => run(op, [float], [a]);
  const rows = (from: number, count: number) => tf.slice(kernel, [from, 0], [count, 4 * U]);

  const forward = (): readonly [tf.Tensor, tf.Tensor[]] => {
    const flat = tf.reshape(x, [T * B, E]);
    const forget = tf.tensor1d(Float32Array.from({ length: 4 * U }, (_, i) => (i >= 2 * U && i < 3 * U ? 1 : 0)));
    const projected = biasAdd(product(flat, rows(0, E)), tf.add(bias, forget)); // [T·B, 4·U]
    const recurrent = rows(E, U); // [U, 4·U]
    const inputs = tf.split(projected, T, 0);
    const saved: tf.Tensor[] = [];
    const hs: tf.Tensor[] = [];
    let c: tf.Tensor | undefined;
    let h: tf.Tensor | undefined;
    for (const z of inputs) {
      const gates = h === undefined ? z : tf.add(z, product(h, recurrent)); // [B, 4·U]
      const [gi, gj, gf, go] = tf.split(gates, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const [i, j, f, o] = [unary('Sigmoid', gi), unary('Tanh', gj), unary('Sigmoid', gf), unary('Sigmoid', go)];
      const written: tf.Tensor = tf.mul(i, j);
      c = c === undefined ? written : tf.add(tf.mul(c, f), written); // [B, U]
      const squashed = unary('Tanh', c);
      h = tf.mul(squashed, o);
      hs.push(h);
      saved.push(i, c, f, o, j, squashed);
    }
    return [tf.stack(hs), [flat, kernel, bias, ...hs, ...saved]];
  };

  const backward = (dy: tf.Tensor, [flat, weights, biases, ...kept]: tf.Tensor[]): tf.Tensor[] => {
    const hs = kept.slice(0, T);
    const steps = kept.slice(T);
    const w = weights as tf.Tensor2D;
    const recurrent = tf.slice(w, [E, 0], [U, 4 * U]);
    const zeros = tf.zeros([B, U]);
    // LSTMBlockCellGrad reads the shapes of x, h, kernel, peepholes and bias alone.
    const peephole = tf.zeros([U]);
    const noInput = tf.zeros([B, E]);
    const shapes = (cBefore: tf.Tensor) => [
      noInput,
      cBefore,
      zeros,
      w,
      peephole,
      peephole,
      peephole,
      biases as tf.Tensor,
    ];
    const dhs = tf.unstack(dy); // [B, U] each
    const dgates: tf.Tensor[] = [];
    let dc: tf.Tensor = zeros;
    let dh: tf.Tensor | undefined;
    for (let t = T - 1; t >= 0; t--) {
      const cBefore = t === 0 ? zeros : (steps[perStep * (t - 1) + 1] as tf.Tensor);
      const dht = dhs[t] as tf.Tensor;
      const inputs = [
        ...shapes(cBefore),
        ...steps.slice(perStep * t, perStep * (t + 1)),
        dc,
        dh === undefined ? dht : tf.add(dht, dh),
      ];
      const noPeephole = attributes.flag('use_peephole', false);
      const [dcBefore, dgate] = runAll('LSTMBlockCellGrad', [float, noPeephole], inputs, 5) as [tf.Tensor, tf.Tensor];
      dc = dcBefore;
      if (t > 0) dh = productTransposedB(dgate, recurrent); // [B, U]
      dgates.unshift(dgate);
    }
    const dz = tf.concat(dgates, 0); // [T·B, 4·U]
    const hsBefore = tf.concat([zeros, ...hs.slice(0, T - 1)], 0); // [T·B, U]
    const dkernel = productTransposedA(tf.concat([flat as tf.Tensor, hsBefore], 1), dz); // [E + U, 4·U]
    const dbias = biasGradient(dz);
    const dx = productTransposedB(dz, tf.slice(w, [0, 0], [E, 4 * U])); // [T·B, E]
    return [tf.reshape(dx, [T, B, E]), dkernel, dbias];
  };

  return differentiable([x, kernel, bias], forward, backward) as tf.Tensor3D;
}
