import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InceptionV3Model } from 'nsfwjs/models/inception_v3';

/** A layer of a model.json, as far as tests look at it or change it. */
export interface TopologyLayer {
  class_name: string;
  name: string;
  config: Record<string, unknown>;
  inbound_nodes: unknown[];
}

interface WeightSpec {
  name: string;
  shape: number[];
  dtype: 'float32';
  quantization?: { dtype: 'uint8'; min: number; scale: number };
}

export interface ModelJson {
  modelTopology: { model_config: { class_name: string; config: { layers: TopologyLayer[] } } };
  weightsManifest: { paths: string[]; weights: WeightSpec[] }[];
}

/** Keras' Inception V3, trained from ImageNet weights and quantised to 8 bits, as npm's nsfwjs ships it. */
export async function nsfwModel(): Promise<{ json: ModelJson; shards: Buffer[] }> {
  const content = async (load: () => Promise<unknown>): Promise<unknown> => {
    const loaded = (await load()) as { default?: unknown };
    return loaded.default ?? loaded;
  };
  // Its own types name files without their endings, which Node's resolution does not find.
  const model = InceptionV3Model as unknown as {
    readonly modelJson: () => Promise<unknown>;
    readonly weightBundles: readonly (() => Promise<unknown>)[];
  };
  const json = (await content(model.modelJson)) as ModelJson;
  const texts = await Promise.all(model.weightBundles.map((load) => content(load)));
  return {
    // A copy: what a test changes is not the next one's.
    json: structuredClone({ modelTopology: json.modelTopology, weightsManifest: json.weightsManifest }),
    shards: texts.map((text) => Buffer.from(text as string, 'base64')),
  };
}

/** The model as files. @returns the model.json */
export function writeModel(folder: string, { json, shards }: { json: ModelJson; shards: readonly Buffer[] }): string {
  mkdirSync(folder, { recursive: true });
  const paths = json.weightsManifest.flatMap((group) => group.paths);
  for (const [i, path] of paths.entries()) writeFileSync(join(folder, path), shards[i] ?? Buffer.alloc(0));
  const file = join(folder, 'model.json');
  writeFileSync(file, JSON.stringify(json));
  return file;
}
