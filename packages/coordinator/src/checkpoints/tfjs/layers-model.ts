import { readFileSync } from 'node:fs';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type EncoderName, convNames, encoders } from '@showtell/shared/model/parameters.js';
import { readKerasGraphs } from './keras-graph.js';
import { type MatchedLayer, matchNetwork } from './match-network.js';
import { readManifest, type StoredWeight } from './weights-manifest.js';

/** A variable of an encoder that was found in a Keras model. */
export interface LayersVariable {
  /** TF-Slim's name of it. */
  readonly name: string;
  /** Keras' name, such as `conv2d_1/kernel`. */
  readonly from: string;
  readonly shape: readonly number[];
  /** As it is stored; what was quantised is not what it was. */
  readonly type: string;
  read(into: Float32Array): void;
}

/** An encoder within a Keras model that tfjs stores. */
export interface LayersModel {
  readonly path: string;
  readonly variables: readonly LayersVariable[];
  /** Weights that are not the encoder's: what stands behind its features. */
  readonly leftOver: readonly StoredWeight[];
  /** Added to variances before their root; one number for all layers. */
  readonly epsilon: number;
}

/**
 * Finds an encoder in a Keras layers model (`model.json` and its shards), as `tensorflowjs_converter` and tfjs'
 * `model.save` write it, with its weights under TF-Slim's names.
 *
 * @throws ShowtellError `file/missing`, `tfjs/malformed`, `tfjs/other-net`
 */
export function openLayersModel(path: string, encoder: EncoderName, depthMultiplier = 1): LayersModel {
  const model = readModel(path);
  const weights = readManifest(path, model['weightsManifest']);
  const refuse = (detail: string): ShowtellError => new ShowtellError('tfjs/other-net', { file: path, encoder, detail });
  const attempts = readKerasGraphs(path, model).map((graph) => matchNetwork(encoders[encoder], depthMultiplier, graph));
  const found = attempts.find((attempt) => 'layers' in attempt);
  if (found === undefined) throw refuse(attempts.map((attempt) => ('problem' in attempt ? attempt.problem : '')).join('; '));
  const epsilons = new Set(found.layers.map(({ norm }) => Number(norm.config['epsilon'] ?? 0.001)));
  const [epsilon = NaN, other] = epsilons;
  if (other !== undefined) throw refuse(`its batch norms have several epsilons: ${[...epsilons].join(', ')}`);

  const used = new Set<StoredWeight>();
  const take = (layer: string, weight: string): StoredWeight => {
    const stored = findWeight(weights, `${layer}/${weight}`);
    if (stored === null) throw new ShowtellError('tfjs/malformed', { file: path, detail: `it has no ${layer}/${weight}` });
    used.add(stored);
    return stored;
  };
  const variables = found.layers.flatMap((matched) => variablesOf(matched, take, refuse));
  const leftOver = [...weights.values()].filter((weight) => !used.has(weight));
  return { path, variables, leftOver, epsilon };
}

function readModel(path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ShowtellError('file/missing', { file: path, what: 'The model' }, { cause });
  }
  try {
    const model: unknown = JSON.parse(text);
    if (typeof model === 'object' && model !== null) return model as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new ShowtellError('tfjs/malformed', { file: path, detail: 'it is no JSON object' });
}

/** By its name, behind the name of a model that it is part of, or with the `:0` of old versions. */
function findWeight(weights: ReadonlyMap<string, StoredWeight>, name: string): StoredWeight | null {
  const exact = weights.get(name);
  if (exact !== undefined) return exact;
  const within = [...weights.values()].filter((weight) => `/${weight.name}`.replace(/:0$/, '').endsWith(`/${name}`));
  return within.length === 1 ? (within[0] ?? null) : null;
}

/** The four variables of a layer; a convolution's bias goes into the mean that the norm takes away. */
function variablesOf(
  { layer, conv, norm }: MatchedLayer,
  take: (layer: string, weight: string) => StoredWeight,
  refuse: (detail: string) => ShowtellError,
): LayersVariable[] {
  const names = convNames(layer);
  const C = layer.outputs;
  if (norm.config['scale'] === true) requireOnes(take(norm.name, 'gamma'), refuse);
  const bias = conv.config['use_bias'] === true ? valuesOf(take(conv.name, 'bias'), C) : null;
  const variable = (name: string, stored: StoredWeight, shape: readonly number[]): LayersVariable => {
    if (stored.shape.join() !== shape.join())
      throw refuse(`${stored.name} has shape [${stored.shape.join(', ')}] instead of [${shape.join(', ')}]`);
    return { name, from: stored.name, shape, type: stored.type, read: (into) => stored.read(into) };
  };
  const beta = norm.config['center'] === false ? null : take(norm.name, 'beta');
  const mean = variable(names.mean, take(norm.name, 'moving_mean'), [C]);
  const lowered = {
    ...mean,
    read: (into: Float32Array): void => {
      mean.read(into);
      bias?.forEach((value, i) => (into[i] = (into[i] as number) - value));
    },
  };
  return [
    variable(names.weights, take(conv.name, 'kernel'), [...layer.kernel, layer.inputs, C]),
    beta === null
      ? { name: names.beta, from: `${norm.name} (no beta)`, shape: [C], type: 'float32', read: (into) => into.fill(0) }
      : variable(names.beta, beta, [C]),
    bias === null ? mean : lowered,
    variable(names.variance, take(norm.name, 'moving_variance'), [C]),
  ];
}

/** slim's nets have no gamma. One folded into the weights would be undone by batch norm in training, unnoticed. */
function requireOnes(gamma: StoredWeight, refuse: (detail: string) => ShowtellError): void {
  const values = valuesOf(gamma, gamma.shape[0] ?? 0);
  if (!values.every((value) => value === 1))
    throw refuse(`${gamma.name} scales what batch norm gives, which TF-Slim’s nets cannot: train it with scale=False`);
}

function valuesOf(weight: StoredWeight, size: number): Float32Array {
  const values = new Float32Array(size);
  weight.read(values);
  return values;
}
