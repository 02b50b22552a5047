import { ShowtellError } from '@showtell/shared/errors.js';

/** A layer of a Keras model. */
export interface KerasLayer {
  readonly name: string;
  /** Such as `Conv2D`. */
  readonly kind: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Names of the layers whose outputs it takes, in their order. */
  readonly inputs: readonly string[];
}

/** Layers that are wired to each other, by name. */
export type KerasGraph = ReadonlyMap<string, KerasLayer>;

type Json = Readonly<Record<string, unknown>>;

/**
 * The graphs of a model.json's topology: the model itself and models within it, as transfer learning leaves them.
 * @throws ShowtellError `tfjs/malformed` when it is no Keras model
 */
export function readKerasGraphs(file: string, model: Json): KerasGraph[] {
  const topology = objectOf(model['modelTopology']);
  const config = objectOf(topology?.['model_config']) ?? topology;
  if (model['format'] === 'graph-model' || topology?.['node'] !== undefined)
    throw refuse(file, 'it is a graph model, whose layers can no longer be told apart; a layers model is read');
  if (config === null || objectOf(config['config']) === null)
    throw refuse(file, 'it has no modelTopology of a Keras model');
  const graphs: KerasGraph[] = [];
  collect(config, graphs);
  if (graphs.length === 0) throw refuse(file, 'its modelTopology has no layers');
  return graphs;
}

function collect(model: Json, into: KerasGraph[]): void {
  const layers = listOf(objectOf(model['config'])?.['layers'] ?? model['config']);
  if (layers.length === 0) return;
  const graph = new Map<string, KerasLayer>();
  let before: string | null = null;
  for (const layer of layers) {
    const config = objectOf(layer['config']) ?? {};
    const name = String(layer['name'] ?? config['name']);
    const wired = inputsOf(layer['inbound_nodes']);
    // A Sequential model says nothing of wires: each layer takes the one before.
    const inputs: string[] = model['class_name'] === 'Sequential' && before !== null ? [before] : wired;
    graph.set(name, { name, kind: String(layer['class_name']), config, inputs });
    before = name;
    if (config['layers'] !== undefined) collect(layer, into);
  }
  into.push(graph);
}

/** Of the first time a layer is used: Keras 2 writes `[[["name", 0, 0, {}], …]]`, Keras 3 tensors with their history. */
function inputsOf(nodes: unknown): string[] {
  const [first] = Array.isArray(nodes) ? (nodes as unknown[]) : [];
  const names: string[] = [];
  const visit = (part: unknown): void => {
    if (Array.isArray(part)) {
      const [name, node] = part as unknown[];
      if (typeof name === 'string' && typeof node === 'number') names.push(name);
      else for (const inner of part as unknown[]) visit(inner);
      return;
    }
    const object = objectOf(part);
    if (object === null) return;
    const history = objectOf(object['config'])?.['keras_history'];
    if (Array.isArray(history)) names.push(String((history as unknown[])[0]));
    else visit(object['args']);
  };
  visit(first);
  return names;
}

function objectOf(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null;
}

function listOf(value: unknown): Json[] {
  return Array.isArray(value) ? (value as unknown[]).map((item) => objectOf(item) ?? {}) : [];
}

function refuse(file: string, detail: string): ShowtellError {
  return new ShowtellError('tfjs/malformed', { file, detail });
}
