import * as tf from '@tensorflow/tfjs-core';
import type { Ops } from '@showtell/worker/model/ops.js';

type Spread = readonly [mean: number, rms: number];

/** Mean and root mean square of each convolution's output, in the order in which they were computed. */
export interface Watched {
  readonly ops: Ops;
  /** To be called once, when all are computed. */
  spreads(): Promise<Spread[]>;
}

/** Operations that note what every convolution of an encoder puts out; a separable one counts once, by its second half. */
export function watchConvolutions(ops: Ops): Watched {
  const outputs: tf.Tensor[] = [];
  const note = (output: tf.Tensor): void => void outputs.push(tf.keep(tf.clone(output)));
  return {
    spreads: async () => {
      const spreads: Spread[] = [];
      for (const output of outputs) {
        spreads.push(spreadOf(await output.data<'float32'>()));
        output.dispose();
      }
      return spreads;
    },
    ops: {
      ...ops,
      convNormRelu(...args) {
        const result = ops.convNormRelu(...args);
        note(result.y);
        return result;
      },
      convBias(...args) {
        const y = ops.convBias(...args);
        note(y);
        return y;
      },
    },
  };
}

function spreadOf(values: Float32Array): Spread {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  return [sum / values.length, Math.sqrt(squares / values.length)];
}
