import { sizeOf } from '../tensors/layout.js';
import { type ConvLayer, type Interpreter, type PoolLayer, outputSide, walkNetwork } from './network.js';
import { type EncoderShape, type ModelShape, networkOf, parametersOf } from './parameters.js';

export interface LayerCost {
  readonly name: string;
  /** [height, width, channels] of what comes out. */
  readonly output: readonly [number, number, number];
  readonly multiplyAdds: number;
}

export interface ModelCost {
  /** Every convolution, for one image. */
  readonly layers: readonly LayerCost[];
  /** Multiply-adds of the encoder's forward pass, one image. */
  readonly encoderMultiplyAdds: number;
  /** Multiply-adds of the decoder's forward pass for one word: LSTM step and logits. */
  readonly wordMultiplyAdds: number;
  /** Values of the encoder's convolutions kept for the backward pass, one image: before and after batch norm. */
  readonly activations: number;
  readonly parameters: Readonly<Record<'decoder' | 'embedding' | 'encoder' | 'statistics' | 'all', number>>;
}

interface Volume {
  readonly side: number;
  readonly channels: number;
}

/** What the model costs, from its tables alone. */
export function costOf(model: ModelShape): ModelCost {
  const layers = encoderLayers(model.encoder);
  const parameters = { decoder: 0, embedding: 0, encoder: 0, statistics: 0, all: 0 };
  for (const spec of parametersOf(model)) {
    parameters[spec.group] += sizeOf(spec.shape);
    parameters.all += sizeOf(spec.shape);
  }
  const { embedding: E, units: U, vocabulary: V } = model.decoder;
  return {
    layers,
    encoderMultiplyAdds: layers.reduce((sum, layer) => sum + layer.multiplyAdds, 0),
    wordMultiplyAdds: (E + U) * 4 * U + U * V,
    activations: 2 * layers.reduce((sum, layer) => sum + sizeOf(layer.output), 0),
    parameters,
  };
}

/** The encoder's convolutions with their output sizes, in slim's order. */
export function encoderLayers(encoder: EncoderShape): LayerCost[] {
  const layers: LayerCost[] = [];
  const shapes: Interpreter<Volume> = {
    conv: (layer: ConvLayer, { side }: Volume) => {
      const { kernel, stride, padding, inputs, outputs, multiplier } = layer;
      const [h, w] = [outputSide(side, kernel[0], stride, padding), outputSide(side, kernel[1], stride, padding)];
      const positions = h * w;
      const taps = kernel[0] * kernel[1];
      const multiplyAdds =
        multiplier === null ? positions * taps * inputs * outputs : positions * inputs * multiplier * (taps + outputs);
      layers.push({ name: layer.name, output: [h, w, outputs], multiplyAdds });
      return { side: h, channels: outputs };
    },
    pool: (layer: PoolLayer, { side, channels }: Volume) => ({
      side: outputSide(side, layer.size, layer.stride, layer.padding),
      channels,
    }),
    concat: (volumes) => ({
      side: volumes[0]?.side ?? 0,
      channels: volumes.reduce((sum, volume) => sum + volume.channels, 0),
    }),
    add: (input) => input,
  };
  walkNetwork(networkOf(encoder), encoder.depthMultiplier, shapes, { side: encoder.imageSize, channels: 3 });
  return layers;
}
