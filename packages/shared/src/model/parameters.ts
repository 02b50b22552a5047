import { type DecoderShape, decoderParameters } from './decoder.js';
import { inceptionV3 } from './inception_v3.js';
import { type ConvLayer, type Network, walkNetwork } from './network.js';

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
export const encoders = { inception_v3: inceptionV3 } as const satisfies Record<string, Network>;
export type EncoderName = keyof typeof encoders;

export interface EncoderShape {
  readonly name: EncoderName;
  /** Scales every layer's channels, as slim's `depth_multiplier`. */
  readonly depthMultiplier: number;
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

/** F: channels of the pooled features. */
export function featuresOf(encoder: Pick<EncoderShape, 'name' | 'depthMultiplier'>): number {
  const nothing = { conv: () => null, pool: () => null, concat: () => null, add: () => null };
  return walkNetwork<null>(encoders[encoder.name], encoder.depthMultiplier, nothing, null).channels;
}

/** The encoder's parameters alone, in slim's order. */
export function encoderParameters(encoder: Pick<EncoderShape, 'name' | 'depthMultiplier'>): ParameterSpec[] {
  return networkParameters(encoders[encoder.name], encoder.depthMultiplier);
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
  const { kernel, inputs, outputs, multiplier, stddev } = layer;
  const names = convNames(layer);
  const zeros = { kind: 'zeros' } as const;
  const weights = (name: string, shape: readonly number[], l2: boolean): ParameterSpec => {
    const fanIn = shape.slice(0, -1).reduce((product, n) => product * n, 1);
    // slim's variance_scaling_initializer: He's deviation, 1.3 making up for the truncated tails.
    const initializer = { kind: 'truncated-normal', stddev: stddev ?? Math.sqrt((1.3 * 2) / fanIn) } as const;
    return { name, shape, initializer, group: 'encoder', l2 };
  };
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
