import { type Network, type Row, averagePool, conv, maxPool, mixed, residual } from './network.js';

/**
 * Inception-ResNet-v2 (Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning")
 * as TF-Slim has it (tensorflow/models, research/slim/nets/inception_resnet_v2.py): 299×299 in, 8×8×1536 out, 244
 * convolutions, 13.2 G multiply-adds, 54,336,736 parameters with their moving averages. slim has no depth_multiplier for
 * it; here it scales as in V2 and V3, and a residual block's projection follows its input.
 *
 * slim's own arg scope for it decays the projections' biases too; im2txt's, which holds here, decays weights alone.
 */
const VALID = { padding: 'VALID' } as const;
const HALVE = { padding: 'VALID', stride: 2 } as const;

/** 35×35×320 */
function block35(name: string): Row {
  return residual(
    name,
    { scale: 0.17 },
    [conv('Conv2d_1x1', 32, [1, 1])],
    [conv('Conv2d_0a_1x1', 32, [1, 1]), conv('Conv2d_0b_3x3', 32, [3, 3])],
    [conv('Conv2d_0a_1x1', 32, [1, 1]), conv('Conv2d_0b_3x3', 48, [3, 3]), conv('Conv2d_0c_3x3', 64, [3, 3])],
  );
}

/** 17×17×1088 */
function block17(name: string): Row {
  return residual(
    name,
    { scale: 0.1 },
    [conv('Conv2d_1x1', 192, [1, 1])],
    [conv('Conv2d_0a_1x1', 128, [1, 1]), conv('Conv2d_0b_1x7', 160, [1, 7]), conv('Conv2d_0c_7x1', 192, [7, 1])],
  );
}

/** 8×8×2080 */
function block8(name: string, options: { readonly scale: number; readonly relu?: boolean }): Row {
  return residual(
    name,
    options,
    [conv('Conv2d_1x1', 192, [1, 1])],
    [conv('Conv2d_0a_1x1', 192, [1, 1]), conv('Conv2d_0b_1x3', 224, [1, 3]), conv('Conv2d_0c_3x1', 256, [3, 1])],
  );
}

/** Blocks under the names that slim.repeat gives: `scope/block_1` … */
function repeat(count: number, name: string, block: (name: string) => Row): Row[] {
  return Array.from({ length: count }, (_, i) => block(`${name}_${i + 1}`));
}

export const inceptionResnetV2: Network = {
  scope: 'InceptionResnetV2',
  nativeSize: 299,
  minDepth: 16,
  firstValues: 'xavier',
  rows: [
    conv('Conv2d_1a_3x3', 32, [3, 3], HALVE), //    149×149×32
    conv('Conv2d_2a_3x3', 32, [3, 3], VALID), //    147×147×32
    conv('Conv2d_2b_3x3', 64, [3, 3]), //           147×147×64
    maxPool(3, 2, 'VALID'), //                      73×73×64
    conv('Conv2d_3b_1x1', 80, [1, 1], VALID), //    73×73×80
    conv('Conv2d_4a_3x3', 192, [3, 3], VALID), //   71×71×192
    maxPool(3, 2, 'VALID'), //                      35×35×192
    mixed(
      'Mixed_5b', //                                35×35×320
      [conv('Conv2d_1x1', 96, [1, 1])],
      [conv('Conv2d_0a_1x1', 48, [1, 1]), conv('Conv2d_0b_5x5', 64, [5, 5])],
      [conv('Conv2d_0a_1x1', 64, [1, 1]), conv('Conv2d_0b_3x3', 96, [3, 3]), conv('Conv2d_0c_3x3', 96, [3, 3])],
      [averagePool(3, 1, 'SAME'), conv('Conv2d_0b_1x1', 64, [1, 1])],
    ),
    ...repeat(10, 'Repeat/block35', block35), //    35×35×320
    mixed(
      'Mixed_6a', //                                17×17×1088
      [conv('Conv2d_1a_3x3', 384, [3, 3], HALVE)],
      [
        conv('Conv2d_0a_1x1', 256, [1, 1]),
        conv('Conv2d_0b_3x3', 256, [3, 3]),
        conv('Conv2d_1a_3x3', 384, [3, 3], HALVE),
      ],
      [maxPool(3, 2, 'VALID')],
    ),
    ...repeat(20, 'Repeat_1/block17', block17), //  17×17×1088
    mixed(
      'Mixed_7a', //                                8×8×2080
      [conv('Conv2d_0a_1x1', 256, [1, 1]), conv('Conv2d_1a_3x3', 384, [3, 3], HALVE)],
      [conv('Conv2d_0a_1x1', 256, [1, 1]), conv('Conv2d_1a_3x3', 288, [3, 3], HALVE)],
      [
        conv('Conv2d_0a_1x1', 256, [1, 1]),
        conv('Conv2d_0b_3x3', 288, [3, 3]),
        conv('Conv2d_1a_3x3', 320, [3, 3], HALVE),
      ],
      [maxPool(3, 2, 'VALID')],
    ),
    ...repeat(9, 'Repeat_2/block8', (name) => block8(name, { scale: 0.2 })), // 8×8×2080
    block8('Block8', { scale: 1, relu: false }), // 8×8×2080
    conv('Conv2d_7b_1x1', 1536, [1, 1]), //         8×8×1536
  ],
};
