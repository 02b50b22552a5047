import { type Network, type Row, averagePool, conv, maxPool, mixed } from './network.js';

/**
 * Inception V2 (Ioffe and Szegedy, "Batch Normalization") as TF-Slim has it (tensorflow/models,
 * research/slim/nets/inception_v2.py): 224×224 in, 7×7×1024 out, 68 convolutions and a separable one, 1.9 G multiply-adds,
 * 10,173,112 parameters with their moving averages. SAME padding throughout, so that any size fits.
 *
 * The first layer is separable, with biases and ReLU but neither batch norm nor decay: slim's arg scope leaves
 * separable_conv2d out (tensorflow/models issue 4843).
 */
const REDUCE = { stddev: 0.09 } as const;
const PROJECT = { stddev: 0.1 } as const;
const HALVE = { stride: 2 } as const;

/** 1×1, 3×3, two 3×3, pooled. */
function inception(
  name: string,
  one: number,
  three: readonly [reduced: number, out: number],
  five: readonly [reduced: number, out: number],
  pooled: number,
  pool = averagePool,
): Row {
  return mixed(
    name,
    [conv('Conv2d_0a_1x1', one, [1, 1])],
    [conv('Conv2d_0a_1x1', three[0], [1, 1], REDUCE), conv('Conv2d_0b_3x3', three[1], [3, 3])],
    [
      conv('Conv2d_0a_1x1', five[0], [1, 1], REDUCE),
      conv('Conv2d_0b_3x3', five[1], [3, 3]),
      conv('Conv2d_0c_3x3', five[1], [3, 3]),
    ],
    [pool(3, 1, 'SAME'), conv('Conv2d_0b_1x1', pooled, [1, 1], PROJECT)],
  );
}

/** Half the side: 3×3, two 3×3, and the input pooled. */
function reduction(
  name: string,
  three: readonly [reduced: number, out: number],
  five: readonly [reduced: number, out: number],
): Row {
  return mixed(
    name,
    [conv('Conv2d_0a_1x1', three[0], [1, 1], REDUCE), conv('Conv2d_1a_3x3', three[1], [3, 3], HALVE)],
    [
      conv('Conv2d_0a_1x1', five[0], [1, 1], REDUCE),
      conv('Conv2d_0b_3x3', five[1], [3, 3]),
      conv('Conv2d_1a_3x3', five[1], [3, 3], HALVE),
    ],
    [maxPool(3, 2, 'SAME')],
  );
}

export const inceptionV2: Network = {
  scope: 'InceptionV2',
  nativeSize: 224,
  minDepth: 16,
  firstValues: 'variance-scaling',
  rows: [
    {
      kind: 'separable', //                                      112×112×64
      name: 'Conv2d_1a_7x7',
      channels: 64,
      kernel: [7, 7],
      stride: 2,
      padding: 'SAME',
      maxMultiplier: 8,
      stddev: 1,
    },
    maxPool(3, 2, 'SAME'), //                                    56×56×64
    conv('Conv2d_2b_1x1', 64, [1, 1], PROJECT), //               56×56×64
    conv('Conv2d_2c_3x3', 192, [3, 3]), //                       56×56×192
    maxPool(3, 2, 'SAME'), //                                    28×28×192
    inception('Mixed_3b', 64, [64, 64], [64, 96], 32), //        28×28×256
    inception('Mixed_3c', 64, [64, 96], [64, 96], 64), //        28×28×320
    reduction('Mixed_4a', [128, 160], [64, 96]), //              14×14×576
    inception('Mixed_4b', 224, [64, 96], [96, 128], 128), //     14×14×576
    inception('Mixed_4c', 192, [96, 128], [96, 128], 128), //    14×14×576
    inception('Mixed_4d', 160, [128, 160], [128, 160], 96), //   14×14×576
    inception('Mixed_4e', 96, [128, 192], [160, 192], 96), //    14×14×576
    reduction('Mixed_5a', [128, 192], [192, 256]), //            7×7×1024
    inception('Mixed_5b', 352, [192, 320], [160, 224], 128), //  7×7×1024
    inception('Mixed_5c', 352, [192, 320], [192, 224], 128, maxPool), // 7×7×1024
  ],
};
