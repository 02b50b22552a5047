import type { Ops } from '@showtell/worker/model/ops.js';

/** Mean and root mean square of each convolution's output, in the order in which they were computed. */
export interface Watched {
  readonly ops: Ops;
  readonly spreads: (readonly [mean: number, rms: number])[];
}

/** Operations that note what every convolution of an encoder puts out; a separable one counts once, by its second half. */
export function watchConvolutions(ops: Ops): Watched {
  const spreads: (readonly [number, number])[] = [];
  const note = (values: Float32Array): void => {
    let sum = 0;
    let squares = 0;
    for (const value of values) {
      sum += value;
      squares += value * value;
    }
    spreads.push([sum / values.length, Math.sqrt(squares / values.length)]);
  };
  return {
    spreads,
    ops: {
      ...ops,
      convNormRelu(...args) {
        const result = ops.convNormRelu(...args);
        note(result.y.dataSync<'float32'>());
        return result;
      },
      convBias(...args) {
        const y = ops.convBias(...args);
        note(y.dataSync<'float32'>());
        return y;
      },
    },
  };
}
