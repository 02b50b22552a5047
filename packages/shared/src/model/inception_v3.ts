import { type Network, type Row, averagePool, conv, fork, maxPool, mixed } from './network.js';

/**
 * Inception V3 (Szegedy et al., "Rethinking the Inception Architecture for Computer Vision") as TF-Slim has it
 * (tensorflow/models, research/slim/nets/inception_v3.py): 299×299 in, 8×8×2048 out, 94 convolutions, 5.7 G
 * multiply-adds, 21,802,784 parameters with their moving averages.
 */
const VALID = { padding: 'VALID' } as const;
const HALVE = { padding: 'VALID', stride: 2 } as const;

/** 35×35: 1×1, 5×5, two 3×3, pooled. */
function mixed35(name: string, pooled: number, five: readonly [string, string]): Row {
  return mixed(
    name,
    [conv('Conv2d_0a_1x1', 64, [1, 1])],
    [conv(five[0], 48, [1, 1]), conv(five[1], 64, [5, 5])],
    [conv('Conv2d_0a_1x1', 64, [1, 1]), conv('Conv2d_0b_3x3', 96, [3, 3]), conv('Conv2d_0c_3x3', 96, [3, 3])],
    [averagePool(3, 1, 'SAME'), conv('Conv2d_0b_1x1', pooled, [1, 1])],
  );
}

/** 17×17: 7×7 in two factors, once and twice. */
function mixed17(name: string, depth: number): Row {
  return mixed(
    name,
    [conv('Conv2d_0a_1x1', 192, [1, 1])],
    [conv('Conv2d_0a_1x1', depth, [1, 1]), conv('Conv2d_0b_1x7', depth, [1, 7]), conv('Conv2d_0c_7x1', 192, [7, 1])],
    [
      conv('Conv2d_0a_1x1', depth, [1, 1]),
      conv('Conv2d_0b_7x1', depth, [7, 1]),
      conv('Conv2d_0c_1x7', depth, [1, 7]),
      conv('Conv2d_0d_7x1', depth, [7, 1]),
      conv('Conv2d_0e_1x7', 192, [1, 7]),
    ],
    [averagePool(3, 1, 'SAME'), conv('Conv2d_0b_1x1', 192, [1, 1])],
  );
}

/** 8×8: 3×3 in two factors side by side. */
function mixed8(name: string, tall: string): Row {
  return mixed(
    name,
    [conv('Conv2d_0a_1x1', 320, [1, 1])],
    [conv('Conv2d_0a_1x1', 384, [1, 1]), fork(conv('Conv2d_0b_1x3', 384, [1, 3]), conv(tall, 384, [3, 1]))],
    [
      conv('Conv2d_0a_1x1', 448, [1, 1]),
      conv('Conv2d_0b_3x3', 384, [3, 3]),
      fork(conv('Conv2d_0c_1x3', 384, [1, 3]), conv('Conv2d_0d_3x1', 384, [3, 1])),
    ],
    [averagePool(3, 1, 'SAME'), conv('Conv2d_0b_1x1', 192, [1, 1])],
  );
}

export const inceptionV3: Network = {
  scope: 'InceptionV3',
  nativeSize: 299,
  minDepth: 16,
  firstValues: 'variance-scaling',
  rows: [
    conv('Conv2d_1a_3x3', 32, [3, 3], HALVE), //    149×149×32
    conv('Conv2d_2a_3x3', 32, [3, 3], VALID), //    147×147×32
    conv('Conv2d_2b_3x3', 64, [3, 3]), //           147×147×64
    maxPool(3, 2, 'VALID'), //                      73×73×64
    conv('Conv2d_3b_1x1', 80, [1, 1], VALID), //    73×73×80
    conv('Conv2d_4a_3x3', 192, [3, 3], VALID), //   71×71×192
    maxPool(3, 2, 'VALID'), //                      35×35×192
    mixed35('Mixed_5b', 32, ['Conv2d_0a_1x1', 'Conv2d_0b_5x5']), // 35×35×256
    mixed35('Mixed_5c', 64, ['Conv2d_0b_1x1', 'Conv_1_0c_5x5']), // 35×35×288
    mixed35('Mixed_5d', 64, ['Conv2d_0a_1x1', 'Conv2d_0b_5x5']), // 35×35×288
    mixed(
      'Mixed_6a', //                                17×17×768
      [conv('Conv2d_1a_1x1', 384, [3, 3], HALVE)],
      [conv('Conv2d_0a_1x1', 64, [1, 1]), conv('Conv2d_0b_3x3', 96, [3, 3]), conv('Conv2d_1a_1x1', 96, [3, 3], HALVE)],
      [maxPool(3, 2, 'VALID')],
    ),
    mixed17('Mixed_6b', 128),
    mixed17('Mixed_6c', 160),
    mixed17('Mixed_6d', 160),
    mixed17('Mixed_6e', 192),
    mixed(
      'Mixed_7a', //                                8×8×1280
      [conv('Conv2d_0a_1x1', 192, [1, 1]), conv('Conv2d_1a_3x3', 320, [3, 3], HALVE)],
      [
        conv('Conv2d_0a_1x1', 192, [1, 1]),
        conv('Conv2d_0b_1x7', 192, [1, 7]),
        conv('Conv2d_0c_7x1', 192, [7, 1]),
        conv('Conv2d_1a_3x3', 192, [3, 3], HALVE),
      ],
      [maxPool(3, 2, 'VALID')],
    ),
    mixed8('Mixed_7b', 'Conv2d_0b_3x1'), //         8×8×2048
    mixed8('Mixed_7c', 'Conv2d_0c_3x1'), //         8×8×2048
  ],
};
