import { decoderNames } from '@showtell/shared/model/decoder.js';
import type { Job } from '@showtell/shared/job/job.js';
import { type ConvLayer, walkNetwork } from '@showtell/shared/model/network.js';
import { convNames, networkOf, parametersOf } from '@showtell/shared/model/parameters.js';
import { layOut, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import { DataType, type GraphNode, type Output } from '../engine/tensorflow/graph.js';
import type { Signature } from '../engine/tensorflow/saved-model.js';
import { foldBatchNorm } from '../model/fold-batch-norm.js';
import { inputRulesOf } from '../input/input-rules.js';
import { GraphBuilder } from './graph-builder.js';

/** A captioner as a graph with its weights in it, and what may be asked of it. */
export interface CaptionerGraph {
  readonly nodes: readonly GraphNode[];
  readonly signatures: Readonly<Record<string, Signature>>;
}

/**
 * The whole captioner in inference mode, as im2txt's inference graph cuts it. Letters: `N` pictures or partial captions,
 * `S` the encoder's side, `F` features, `U` LSTM units, `V` rows of the word tables. A state is c, then h: `[N, 2 · U]`.
 *
 * - `preprocess`: a JPEG → images `[1, S, S, 3]`
 * - `image_features` (also `serving_default`): images `[N, S, S, 3]`, −1 to 1 → features `[N, F]`, state `[N, 2 · U]`
 * - `decode_step`: words `[N]` int32, state → probabilities `[N, V]`, state
 */
export function captionerGraph(job: Job, parameters: Segments): CaptionerGraph {
  const builder = new GraphBuilder();
  const layout = layOut(parametersOf(job.model));
  const values = (name: string): Float32Array => tensorView(parameters, layout.entry(name));
  const S = job.model.encoder.imageSize;
  const { units: U, vocabulary: V } = job.model.decoder;

  const jpeg = builder.input('preprocess/jpeg', [], DataType.string);
  const image = preprocess(builder, job, jpeg);
  const images = builder.input('image_features/images', [-1, S, S, 3]);
  const features = encode(builder, job, values, images);
  const F = layout.entry(decoderNames.imageEmbedding).shape[0] ?? 0;

  const variable = (name: string): Output => builder.weights(name, layout.entry(name).shape, values(name));
  const lstm = { kernel: variable(decoderNames.kernel), bias: variable(decoderNames.bias) };
  const embedded = builder.product('image_features/embedding', features, variable(decoderNames.imageEmbedding));
  const zeros = builder.zeros('image_features/zeros', features, 2 * U);
  const first = lstmStep(builder, 'image_features/lstm', embedded, zeros, lstm);

  const words = builder.input('decode_step/words', [-1], DataType.int32);
  const state = builder.input('decode_step/state', [-1, 2 * U]);
  const word = builder.gather('decode_step/embedding', variable(decoderNames.wordEmbedding), words);
  const next = lstmStep(builder, 'decode_step/lstm', word, state, lstm);
  const logits = builder.bias(
    'decode_step/logits',
    builder.product('decode_step/product', next.h, variable(decoderNames.logits)),
    variable(decoderNames.logitsBias),
  );
  const probabilities = builder.of('decode_step/probabilities', 'Softmax', logits);

  const float = (output: Output, ...shape: number[]) => ({ output, shape, dtype: DataType.float });
  const imageFeatures: Signature = {
    inputs: { images: float(images, -1, S, S, 3) },
    outputs: { features: float(features, -1, F), state: float(first.state, -1, 2 * U) },
  };
  return {
    nodes: builder.nodes,
    signatures: {
      preprocess: {
        inputs: { jpeg: { output: jpeg, shape: [], dtype: DataType.string } },
        outputs: { images: float(image, 1, S, S, 3) },
      },
      image_features: imageFeatures,
      serving_default: imageFeatures,
      decode_step: {
        inputs: { words: { output: words, shape: [-1], dtype: DataType.int32 }, state: float(state, -1, 2 * U) },
        outputs: { probabilities: float(probabilities, -1, V), state: float(next.state, -1, 2 * U) },
      },
    },
  };
}

/** A JPEG as evaluation sees it: decoded, resized whatever its aspect, its middle cut out, from −1 to 1. */
function preprocess(builder: GraphBuilder, job: Job, jpeg: Output): Output {
  const { resized, imageSize: S } = inputRulesOf(job, 0);
  const name = (part: string): string => `preprocess/${part}`;
  const type = (value: DataType) => ({ type: 'type', value }) as const;
  const bool = (value: boolean) => ({ type: 'bool', value }) as const;
  const int32 = type(DataType.int32);
  const float = type(DataType.float);
  const pixels = builder.op(name('pixels'), 'DecodeJpeg', [jpeg], {
    channels: { type: 'int', value: 3 },
    ratio: { type: 'int', value: 1 },
    fancy_upscaling: bool(true),
    try_recover_truncated: bool(false),
    acceptable_fraction: { type: 'float', value: 1 },
    dct_method: { type: 'string', value: '' },
  });
  const cast = builder.op(name('cast'), 'Cast', [pixels], {
    SrcT: type(DataType.uint8),
    DstT: float,
    Truncate: bool(false),
  });
  const unit = builder.of(name('unit'), 'Mul', cast, builder.number(name('per_255'), Math.fround(1 / 255)));
  const row = builder.integers(name('first'), [0]);
  const one = builder.op(name('one'), 'ExpandDims', [unit, row], { T: float, Tdim: int32 });
  const small = builder.op(
    name('resized'),
    'ResizeBilinear',
    [one, builder.integers(name('size'), [resized, resized])],
    {
      T: float,
      align_corners: bool(false),
      half_pixel_centers: bool(false),
    },
  );
  const margin = Math.floor((resized - S) / 2);
  const crop = builder.op(
    name('crop'),
    'Slice',
    [small, builder.integers(name('begin'), [0, margin, margin, 0]), builder.integers(name('shape'), [1, S, S, 3])],
    { T: float, Index: int32 },
  );
  const centred = builder.of(name('centred'), 'Sub', crop, builder.number(name('half'), 0.5));
  return builder.of(name('images'), 'Mul', centred, builder.number(name('two'), 2));
}

/** The encoder's table, batch norm folded into its convolutions, up to the average over positions. */
function encode(builder: GraphBuilder, job: Job, values: (name: string) => Float32Array, images: Output): Output {
  const { encoder } = job.model;
  const folded = new Map(foldBatchNorm(encoder, values).map((parameter) => [parameter.name, parameter]));
  const weights = (name: string): Output => {
    const found = folded.get(name);
    if (found === undefined) throw new RangeError(`no parameter named ${name}`);
    return builder.weights(name, found.shape, found.values);
  };
  const conv = (layer: ConvLayer, x: Output): Output => {
    const { name, stride, padding, finish, multiplier, scale } = layer;
    const names = convNames(layer);
    const at = (part: string): string => `image_features/${name}/${part}`;
    const one = { stride: 1, padding } as const;
    const z =
      multiplier === null
        ? builder.conv(at('conv'), x, weights(names.weights), { stride, padding })
        : builder.conv(
            at('pointwise'),
            builder.depthwise(at('depthwise'), x, weights(names.depthwise), { stride, padding }),
            weights(names.pointwise),
            one,
          );
    const biased = builder.bias(at('bias'), z, weights(names.biases));
    if (finish === 'bias-relu' || finish === 'batch-norm-relu') return builder.of(at('relu'), 'Relu', biased);
    return scale === 1 ? biased : builder.of(at('scaled'), 'Mul', biased, builder.number(at('scale'), scale));
  };
  const last = walkNetwork<Output>(
    networkOf(encoder),
    encoder.depthMultiplier,
    {
      conv,
      pool: ({ kind, size, stride, padding }, x) =>
        builder.pool('image_features/pool', kind === 'max-pool' ? 'MaxPool' : 'AvgPool', x, size, { stride, padding }),
      concat: (branches) => builder.concat('image_features/concat', branches, 3),
      add: (x, branch, relu) => {
        const sum = builder.of('image_features/sum', 'AddV2', x, branch);
        return relu ? builder.of('image_features/relu', 'Relu', sum) : sum;
      },
    },
    images,
  ).value;
  return builder.mean('image_features/features', last, [1, 2]);
}

interface Stepped {
  readonly h: Output;
  /** `[N, 2 · U]` */
  readonly state: Output;
}

/** im2txt's BasicLSTMCell: gates i, j, f, o; 1 is added to f here, not in the stored bias. */
function lstmStep(
  builder: GraphBuilder,
  name: string,
  x: Output,
  state: Output,
  { kernel, bias }: { readonly kernel: Output; readonly bias: Output },
): Stepped {
  const at = (part: string): string => `${name}/${part}`;
  const [c, h] = builder.split(at('state'), state, 2, 1) as [Output, Output];
  const both = builder.concat(at('inputs'), [x, h], 1);
  const gates = builder.bias(at('gates'), builder.product(at('product'), both, kernel), bias);
  const [i, j, f, o] = builder.split(at('gate'), gates, 4, 1) as [Output, Output, Output, Output];
  const forget = builder.of(
    at('forget'),
    'Sigmoid',
    builder.of(at('biased'), 'AddV2', f, builder.number(at('one'), 1)),
  );
  const kept = builder.of(at('kept'), 'Mul', c, forget);
  const fresh = builder.of(
    at('fresh'),
    'Mul',
    builder.of(at('input'), 'Sigmoid', i),
    builder.of(at('candidate'), 'Tanh', j),
  );
  const next = builder.of(at('c'), 'AddV2', kept, fresh);
  const out = builder.of(at('h'), 'Mul', builder.of(at('tanh'), 'Tanh', next), builder.of(at('output'), 'Sigmoid', o));
  return { h: out, state: builder.concat(at('next'), [next, out], 1) };
}
