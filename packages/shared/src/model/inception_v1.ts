import { type Network, type Row, conv, maxPool, mixed } from './network.js';

/**
 * Inception V1 (Szegedy et al., "Going Deeper with Convolutions", GoogLeNet) as TF-Slim has it, with batch norm
 * (tensorflow/models, research/slim/nets/inception_v1.py): 224×224 in, 7×7×1024 out, 57 convolutions, 1.5 G multiply-adds,
 * 5,607,184 parameters with their moving averages. SAME padding throughout, so that any size fits. slim has no
 * depth_multiplier for it; here it scales as in V2 and V3.
 */
function inception(
  name: string,
  one: number,
  three: readonly [reduced: number, out: number],
  five: readonly [reduced: number, out: number],
  pooled: number,
  last = 'Conv2d_0b_3x3',
): Row {
  return mixed(
    name,
    [conv('Conv2d_0a_1x1', one, [1, 1])],
    [conv('Conv2d_0a_1x1', three[0], [1, 1]), conv('Conv2d_0b_3x3', three[1], [3, 3])],
    // The paper's 5×5; slim's is 3×3.
    [conv('Conv2d_0a_1x1', five[0], [1, 1]), conv(last, five[1], [3, 3])],
    [maxPool(3, 1, 'SAME'), conv('Conv2d_0b_1x1', pooled, [1, 1])],
  );
}

export const inceptionV1: Network = {
  scope: 'InceptionV1',
  nativeSize: 224,
  minDepth: 16,
  firstValues: 0.01,
  rows: [
    conv('Conv2d_1a_7x7', 64, [7, 7], { stride: 2 }), //         112×112×64
    maxPool(3, 2, 'SAME'), //                                    56×56×64
    conv('Conv2d_2b_1x1', 64, [1, 1]), //                        56×56×64
    conv('Conv2d_2c_3x3', 192, [3, 3]), //                       56×56×192
    maxPool(3, 2, 'SAME'), //                                    28×28×192
    inception('Mixed_3b', 64, [96, 128], [16, 32], 32), //       28×28×256
    inception('Mixed_3c', 128, [128, 192], [32, 96], 64), //     28×28×480
    maxPool(3, 2, 'SAME'), //                                    14×14×480
    inception('Mixed_4b', 192, [96, 208], [16, 48], 64), //      14×14×512
    inception('Mixed_4c', 160, [112, 224], [24, 64], 64), //     14×14×512
    inception('Mixed_4d', 128, [128, 256], [24, 64], 64), //     14×14×512
    inception('Mixed_4e', 112, [144, 288], [32, 64], 64), //     14×14×528
    inception('Mixed_4f', 256, [160, 320], [32, 128], 128), //   14×14×832
    maxPool(2, 2, 'SAME'), //                                    7×7×832
    inception('Mixed_5b', 256, [160, 320], [32, 128], 128, 'Conv2d_0a_3x3'), // 7×7×832
    inception('Mixed_5c', 384, [192, 384], [48, 128], 128), //   7×7×1024
  ],
};
