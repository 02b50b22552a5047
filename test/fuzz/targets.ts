import type { FuzzTarget } from './target.js';

interface Group {
  readonly names: readonly string[];
  readonly load: () => Promise<readonly FuzzTarget[]>;
}

/** Targets by the module that has them: a process that fuzzes one loads no other. */
const groups: readonly Group[] = [
  {
    names: ['tfrecord', 'shard-index', 'sequence-example', 'dataset-manifest', 'vocabulary'],
    load: async () => (await import('./targets/data.js')).dataTargets,
  },
  {
    names: ['safetensors', 'checkpoint-manifest', 'checkpoint-state', 'tfjs-model'],
    load: async () => (await import('./targets/checkpoints.js')).checkpointTargets,
  },
  {
    names: ['tensorflow-v1', 'tensorflow-v2', 'snappy'],
    load: async () => (await import('./targets/tensorflow.js')).tensorflowTargets,
  },
  {
    names: ['picture-header', 'picture-decode'],
    load: async () => (await import('./targets/pictures.js')).pictureTargets,
  },
  { names: ['job', 'journal'], load: async () => (await import('./targets/run-files.js')).runFileTargets },
  {
    names: ['push-gradient', 'unit-message', 'session-message'],
    load: async () => (await import('./targets/messages.js')).messageTargets,
  },
  { names: ['serve-http', 'page-http'], load: async () => (await import('./targets/http.js')).httpTargets },
];

/** All that is parsed of what others may have made. */
export const targetNames: readonly string[] = groups.flatMap(({ names }) => names);

/** @throws RangeError when there is none of that name */
export async function targetNamed(name: string): Promise<FuzzTarget> {
  const group = groups.find(({ names }) => names.includes(name));
  const target = (await group?.load())?.find((each) => each.name === name);
  if (target === undefined) throw new RangeError(`there is no target ${name}, there are ${targetNames.join(', ')}`);
  return target;
}
