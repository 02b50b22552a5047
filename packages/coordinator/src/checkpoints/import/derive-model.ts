import { decoderNames } from '@showtell/shared/model/decoder.js';
import { type EncoderName, encoderParameters, encoders } from '@showtell/shared/model/parameters.js';
import { ownName } from '../tensorflow/names.js';
import type { VariableSource } from '../variable-source.js';

/** What the shapes of a file's variables tell of its model. */
export interface DerivedModel {
  readonly encoder: { readonly depthMultiplier: number; readonly minDepth?: number };
  /** null when the file holds an encoder alone. */
  readonly decoder: { readonly embedding: number; readonly units: number; readonly vocabulary: number } | null;
}

type Shapes = ReadonlyMap<string, readonly number[]>;

/** @param depthMultiplier what the user says it is; null: whatever fits the shapes */
export function deriveModel(source: VariableSource, name: EncoderName, depthMultiplier: number | null): DerivedModel {
  const shapes = new Map(source.variables.map((variable) => [variable.own ?? ownName(variable.name), variable.shape]));
  return { encoder: deriveWidth(name, shapes, depthMultiplier), decoder: deriveDecoder(shapes) };
}

function deriveDecoder(shapes: Shapes): DerivedModel['decoder'] {
  if (!Object.values(decoderNames).some((name) => shapes.has(name))) return null;
  const dimension = (name: string, index: number): number | undefined => shapes.get(name)?.[index];
  const { wordEmbedding, imageEmbedding, logits, bias, logitsBias } = decoderNames;
  return {
    embedding: dimension(wordEmbedding, 1) ?? dimension(imageEmbedding, 1) ?? 1,
    units: dimension(logits, 0) ?? Math.trunc((dimension(bias, 0) ?? 4) / 4),
    vocabulary: dimension(wordEmbedding, 0) ?? dimension(logits, 1) ?? dimension(logitsBias, 0) ?? 1,
  };
}

/** A layer's channels at multiplier 1, and as stored. */
interface Scaled {
  readonly full: number;
  readonly stored: number;
}

function deriveWidth(name: EncoderName, shapes: Shapes, given: number | null): DerivedModel['encoder'] {
  const layers = scaledLayers(name, shapes);
  const { minDepth } = encoders[name];
  const floors = [minDepth, 8, Math.min(...layers.map(({ stored }) => stored))];
  for (const floor of floors) {
    const multiplier = given ?? simplestMultiplier(layers, floor);
    if (multiplier === null || !layers.every((layer) => scaledBy(layer, multiplier, floor))) continue;
    return floor === minDepth ? { depthMultiplier: multiplier } : { depthMultiplier: multiplier, minDepth: floor };
  }
  return { depthMultiplier: given ?? 1 };
}

/** Layers whose channels are scaled by the multiplier alone: those that have a norm, or are separable. */
function scaledLayers(name: EncoderName, shapes: Shapes): Scaled[] {
  const parameters = encoderParameters({ name, depthMultiplier: 1 });
  const names = new Set(parameters.map((parameter) => parameter.name));
  return parameters.flatMap((parameter) => {
    const layer = /^(.*)\/(weights|pointwise_weights)$/.exec(parameter.name);
    const scales = layer?.[2] === 'pointwise_weights' || names.has(`${layer?.[1] ?? ''}/BatchNorm/beta`);
    const [full, stored] = [parameter.shape.at(-1), shapes.get(parameter.name)?.at(-1)];
    return layer !== null && scales && full !== undefined && stored !== undefined ? [{ full, stored }] : [];
  });
}

/** slim: max(int(channels · multiplier), min_depth). */
function scaledBy({ full, stored }: Scaled, multiplier: number, floor: number): boolean {
  return Math.max(Math.trunc(full * multiplier), floor) === stored;
}

/** The multiplier of fewest decimals that gives every layer the channels it has. */
function simplestMultiplier(layers: readonly Scaled[], floor: number): number | null {
  const above = layers.filter(({ stored }) => stored > floor);
  const least = Math.max(0, ...above.map(({ full, stored }) => stored / full));
  const most = Math.min(...layers.map(({ full, stored }) => (stored + 1) / full));
  for (let decimals = 0, scale = 1; decimals <= 6; decimals++, scale *= 10) {
    const multiplier = Math.max(1, Math.ceil(least * scale - 1e-9)) / scale;
    if (multiplier < most && layers.every((layer) => scaledBy(layer, multiplier, floor))) return multiplier;
  }
  return null;
}
