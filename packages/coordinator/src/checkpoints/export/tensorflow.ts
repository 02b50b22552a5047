import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkpointStateFile, formatCheckpointState } from '@showtell/shared/tensors/checkpoint-state.js';
import { type OpenCheckpoint, readNamed, wordsOf } from '../open-checkpoint.js';
import { globalStep, im2txtName, type LstmNaming } from '../tensorflow/names.js';
import { type TensorToWrite, writeBundle } from '../tensorflow/write-bundle.js';
import { vocabularyFile } from '../write-checkpoint.js';
import type { Exported, ExportRequest } from './exporters.js';
import { writeBeside } from './write-beside.js';

/**
 * A folder as im2txt's training leaves it: `model.ckpt-STEP` in the V2 format with the step as int32, the `checkpoint` file
 * that names it, and the words. The optimizer's state stays out, as it belongs to another graph.
 */
export async function exportTensorflow({ checkpoint, out, lstmNames, vocabulary }: ExportRequest): Promise<Exported> {
  const words = await wordsOf(checkpoint, vocabulary);
  const name = `model.ckpt-${checkpoint.manifest.step}`;
  const tensors = tensorsToWrite(checkpoint, lstmNames);
  return writeBeside(out, async (beside) => {
    mkdirSync(beside);
    const bytes = writeBundle(join(beside, name), tensors);
    copyFileSync(words.file, join(beside, vocabularyFile));
    writeFileSync(join(beside, checkpointStateFile), formatCheckpointState(name), { flush: true });
    return { path: join(out, name), files: readdirSync(beside).sort(), bytes, tensors: tensors.length };
  });
}

/** The checkpoint's tensors under im2txt's names, and the step. */
export function tensorsToWrite(checkpoint: OpenCheckpoint, naming: LstmNaming): TensorToWrite[] {
  const { manifest, tensors } = checkpoint;
  return [
    ...tensors.entries.map(({ name, shape }) => ({
      name: im2txtName(name, naming),
      shape,
      type: 'float32' as const,
      values: () => readNamed(checkpoint, name),
    })),
    { name: globalStep, shape: [], type: 'int32', values: () => Int32Array.of(manifest.step) },
  ];
}
