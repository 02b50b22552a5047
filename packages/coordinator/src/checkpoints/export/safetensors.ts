import { copyFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { Exported, ExportRequest } from './exporters.js';
import { writeBeside } from './write-beside.js';

/** The weights as one file: a checkpoint holds them in this format already. */
export async function exportSafetensors({ checkpoint, out }: ExportRequest): Promise<Exported> {
  const { manifest, tensors } = checkpoint;
  return writeBeside(out, async (beside) => {
    copyFileSync(tensors.file, beside);
    return { path: out, files: [basename(out)], bytes: manifest.parameters.bytes, tensors: tensors.entries.length };
  });
}
