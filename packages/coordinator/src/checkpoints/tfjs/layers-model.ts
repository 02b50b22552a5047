import { readFileSync } from 'node:fs';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type EncoderName, convNames, encoders } from '@showtell/shared/model/parameters.js';
import { sizeOf } from '@showtell/shared/tensors/layout.js';
import type { StoredVariable, VariableSource } from '../variable-source.js';
import { readKerasGraphs } from './keras-graph.js';
import { type MatchedLayer, matchNetwork } from './match-network.js';
import { readManifest, type StoredWeight } from './weights-manifest.js';

/**
 * Finds an encoder in a Keras layers model (`model.json` and its shards), as `tensorflowjs_converter` and tfjs'
 * `model.save` write it. Its weights come with TF-Slim's names as their own; all others, behind the features, follow.
 *
 * @throws ShowtellError `file/missing`, `tfjs/malformed`, `tfjs/other-net`
 */
export function openLayersModel(path: string, encoder: EncoderName, depthMultiplier: number): VariableSource {
  return asMalformed(path, () => findEncoder(path, encoder, depthMultiplier));
}

/** Runs what goes through a stranger's model; whatever it stumbles over is the model's fault. @throws ShowtellError */
function asMalformed<T>(path: string, through: () => T): T {
  try {
    return through();
  } catch (cause) {
    if (cause instanceof ShowtellError) throw cause;
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ShowtellError('tfjs/malformed', { file: path, detail }, { cause });
  }
}

function findEncoder(path: string, encoder: EncoderName, depthMultiplier: number): VariableSource {
  const model = readModel(path);
  const weights = readManifest(path, model['weightsManifest']);
  const refuse = (detail: string): ShowtellError =>
    new ShowtellError('tfjs/other-net', { file: path, encoder, detail });
  const attempts = readKerasGraphs(path, model).map((graph) => matchNetwork(encoders[encoder], depthMultiplier, graph));
  const found = attempts.find((attempt) => 'layers' in attempt);
  if (found === undefined)
    throw refuse(attempts.map((attempt) => ('problem' in attempt ? attempt.problem : '')).join('; '));
  const epsilons = new Set(found.layers.map(({ norm }) => Number(norm.config['epsilon'] ?? 0.001)));
  const [epsilon = NaN, other] = epsilons;
  if (other !== undefined) throw refuse(`its batch norms have several epsilons: ${[...epsilons].join(', ')}`);

  const used = new Set<StoredWeight>();
  const take = (layer: string, weight: string): StoredWeight => {
    const stored = findWeight(weights, `${layer}/${weight}`);
    if (stored === null)
      throw new ShowtellError('tfjs/malformed', { file: path, detail: `it has no ${layer}/${weight}` });
    used.add(stored);
    return stored;
  };
  const variables = found.layers.flatMap((matched) => variablesOf(matched, take, refuse));
  const others = [...weights.values()].filter((weight) => !used.has(weight));
  const rest = others.map((weight) =>
    storedVariable(weight, { own: `${encoders[encoder].scope}/Predictions/${weight.name}` }),
  );
  const all = [...variables, ...rest].map((variable) => ({
    ...variable,
    read: (into: Float32Array): void => asMalformed(path, () => variable.read(into)),
  }));
  return { format: 'Keras layers model of tfjs', path, variables: all, batchNormEpsilon: epsilon };
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

/** What of a stored weight becomes another thing. */
type Changed = Partial<Pick<StoredVariable, 'name' | 'own' | 'read'>>;

function storedVariable(weight: StoredWeight, changed: Changed): StoredVariable {
  const { name, shape, type } = weight;
  const isQuantised = type === 'uint8' || type === 'uint16';
  const kind = isQuantised ? `${type} · scale + min` : type;
  return {
    name,
    shape,
    type: kind,
    numeric: type !== 'string',
    slices: 1,
    read: (into) => weight.read(into),
    ...changed,
  };
}

/** The four variables of a layer; a convolution's bias goes into the mean that the norm takes away. */
function variablesOf(
  { layer, conv, norm }: MatchedLayer,
  take: (layer: string, weight: string) => StoredWeight,
  refuse: (detail: string) => ShowtellError,
): StoredVariable[] {
  const own = convNames(layer);
  const C = layer.outputs;
  const hasGamma = norm.config['scale'] === true;
  if (hasGamma) requireOnes(take(norm.name, 'gamma'), refuse);
  const variable = (name: string, stored: StoredWeight, shape: readonly number[], changed: Changed = {}) => {
    if (stored.shape.join() !== shape.join())
      throw refuse(`${stored.name} has shape [${stored.shape.join(', ')}] instead of [${shape.join(', ')}]`);
    return storedVariable(stored, { own: name, ...changed });
  };
  const mean = take(norm.name, 'moving_mean');
  const lessBias = conv.config['use_bias'] === true ? without(mean, take(conv.name, 'bias'), C) : {};
  return [
    variable(own.weights, take(conv.name, 'kernel'), [...layer.kernel, layer.inputs, C]),
    norm.config['center'] === false ? noBeta(own.beta, norm.name, C) : variable(own.beta, take(norm.name, 'beta'), [C]),
    variable(own.mean, mean, [C], lessBias),
    variable(own.variance, take(norm.name, 'moving_variance'), [C]),
  ];
}

/** (w·x + b − mean) is what the norm scales: a bias may as well be taken off the mean. */
function without(mean: StoredWeight, bias: StoredWeight, size: number): Changed {
  const values = valuesOf(bias, size);
  const read = (into: Float32Array): void => {
    mean.read(into);
    for (const [i, value] of values.entries()) into[i] = (into[i] as number) - value;
  };
  return { name: `${mean.name} − ${bias.name}`, read };
}

function noBeta(own: string, norm: string, size: number): StoredVariable {
  const read = (into: Float32Array): void => void into.fill(0);
  return { name: `${norm} (no beta: 0)`, own, shape: [size], type: 'float32', numeric: true, slices: 1, read };
}

/** slim's nets have no gamma. One folded into the weights would be undone by batch norm in training, unnoticed. */
function requireOnes(gamma: StoredWeight, refuse: (detail: string) => ShowtellError): void {
  const values = valuesOf(gamma, sizeOf(gamma.shape));
  if (!values.every((value) => value === 1))
    throw refuse(`${gamma.name} scales what batch norm gives, which TF-Slim’s nets cannot: train it with scale=False`);
}

function valuesOf(weight: StoredWeight, size: number): Float32Array {
  const values = new Float32Array(size);
  weight.read(values);
  return values;
}
