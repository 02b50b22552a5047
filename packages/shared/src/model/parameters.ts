import { type DecoderShape, decoderParameters } from './decoder.js';
import { inceptionResnetV2 } from './inception_resnet_v2.js';
import { inceptionV1 } from './inception_v1.js';
import { inceptionV2 } from './inception_v2.js';
import { inceptionV3 } from './inception_v3.js';
import { type ConvLayer, type FirstValues, type Network, walkNetwork } from './network.js';

/** How a parameter gets its first values. */
export type Initializer =
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' }
  /** Uniform in [−scale, scale). */
  | { readonly kind: 'uniform'; readonly scale: number }
  /** Normal with this deviation, values beyond two deviations drawn anew. */
  | { readonly kind: 'truncated-normal'; readonly stddev: number };

export interface ParameterSpec {
  /** TensorFlow's variable name, such as `InceptionV3/Conv2d_1a_3x3/weights`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly initializer: Initializer;
  /**
   * `embedding`: seq_embedding/map alone, whose gradient is rows; `decoder`: the rest of it; `encoder`: trained in the
   * joint phase; `statistics`: moving means and variances, which have no gradient.
   */
  readonly group: 'decoder' | 'embedding' | 'encoder' | 'statistics';
  /** Whether weight decay applies in the joint phase: convolutions' weights alone. */
  readonly l2: boolean;
}

/** The encoders, by TF-Slim's name. */
export const encoders = {
  inception_v1: inceptionV1,
  inception_v2: inceptionV2,
  inception_v3: inceptionV3,
  inception_resnet_v2: inceptionResnetV2,
} as const satisfies Record<string, Network>;
export type EncoderName = keyof typeof encoders;

/** An encoder and how wide it is. */
export interface EncoderWidth {
  readonly name: EncoderName;
  /** Scales every layer's channels, as slim's `depth_multiplier`. */
  readonly depthMultiplier: number;
  /** No layer gets thinner than this, as slim's `min_depth`; the table's 16 where absent. */
  readonly minDepth?: number;
}

export interface EncoderShape extends EncoderWidth {
  /** Side of the square image, in pixels. */
  readonly imageSize: number;
}

export interface ModelShape {
  readonly encoder: EncoderShape;
  readonly decoder: DecoderShape;
}

/** Every parameter of the model, in the order in which im2txt creates its variables. */
export function parametersOf(model: ModelShape): ParameterSpec[] {
  return [...encoderParameters(model.encoder), ...decoderParameters(model.decoder, featuresOf(model.encoder))];
}

/** An encoder's table, with the smallest depth that it is to have. */
export function networkOf({ name, minDepth }: Pick<EncoderWidth, 'name' | 'minDepth'>): Network {
  const network: Network = encoders[name];
  return minDepth === undefined ? network : { ...network, minDepth };
}

/** F: channels of the pooled features. */
export function featuresOf(encoder: EncoderWidth): number {
  const nothing = { conv: () => null, pool: () => null, concat: () => null, add: () => null };
  return walkNetwork<null>(networkOf(encoder), encoder.depthMultiplier, nothing, null).channels;
}

/** The encoder's parameters alone, in slim's order. */
export function encoderParameters(encoder: EncoderWidth): ParameterSpec[] {
  return networkParameters(networkOf(encoder), encoder.depthMultiplier);
}

/** A table's parameters, in the order of its rows. */
export function networkParameters(network: Network, depthMultiplier: number): ParameterSpec[] {
  const specs: ParameterSpec[] = [];
  const collect = {
    conv: (layer: ConvLayer) => {
      specs.push(...convParameters(layer));
      return null;
    },
    pool: () => null,
    concat: () => null,
    add: () => null,
  };
  walkNetwork<null>(network, depthMultiplier, collect, null);
  return specs;
}

/** Variable names of one convolution. */
export function convNames(layer: Pick<ConvLayer, 'name'>): {
  weights: string;
  beta: string;
  mean: string;
  variance: string;
  biases: string;
  depthwise: string;
  pointwise: string;
} {
  const { name } = layer;
  return {
    weights: `${name}/weights`,
    beta: `${name}/BatchNorm/beta`,
    mean: `${name}/BatchNorm/moving_mean`,
    variance: `${name}/BatchNorm/moving_variance`,
    biases: `${name}/biases`,
    depthwise: `${name}/depthwise_weights`,
    pointwise: `${name}/pointwise_weights`,
  };
}

function convParameters(layer: ConvLayer): ParameterSpec[] {
  const { kernel, inputs, outputs, multiplier, firstValues } = layer;
  const names = convNames(layer);
  const zeros = { kind: 'zeros' } as const;
  const weights = (name: string, shape: readonly number[], l2: boolean): ParameterSpec => ({
    name,
    shape,
    initializer: initializerOf(firstValues, shape),
    group: 'encoder',
    l2,
  });
  const products =
    multiplier === null
      ? [weights(names.weights, [...kernel, inputs, outputs], true)]
      : [
          weights(names.depthwise, [...kernel, inputs, multiplier], false),
          weights(names.pointwise, [1, 1, inputs * multiplier, outputs], false),
        ];
  if (layer.finish !== 'batch-norm-relu')
    return [...products, { name: names.biases, shape: [outputs], initializer: zeros, group: 'encoder', l2: false }];
  return [
    ...products,
    { name: names.beta, shape: [outputs], initializer: zeros, group: 'encoder', l2: false },
    { name: names.mean, shape: [outputs], initializer: zeros, group: 'statistics', l2: false },
    { name: names.variance, shape: [outputs], initializer: { kind: 'ones' }, group: 'statistics', l2: false },
  ];
}

function initializerOf(firstValues: FirstValues, shape: readonly number[]): Initializer {
  const outputs = shape.at(-1) ?? 1;
  const inputs = shape.at(-2) ?? 1;
  const taps = shape.slice(0, -2).reduce((product, n) => product * n, 1);
  if (typeof firstValues === 'number') return { kind: 'truncated-normal', stddev: firstValues };
  if (firstValues === 'xavier') return { kind: 'uniform', scale: Math.sqrt(6 / (taps * (inputs + outputs))) };
  // He's deviation, 1.3 making up for the truncated tails.
  return { kind: 'truncated-normal', stddev: Math.sqrt((1.3 * 2) / (taps * inputs)) };
}
