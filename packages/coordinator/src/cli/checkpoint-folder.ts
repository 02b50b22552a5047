import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { CheckpointStore } from '../checkpoints/checkpoint-store.js';

/**
 * The checkpoint's folder that a person means by `RUN`, `RUN@STEP` or the folder itself; of a run the newest.
 *
 * @throws ShowtellError `checkpoint/missing`
 */
export function checkpointFolder(text: string): string {
  if (existsSync(join(text, 'manifest.json'))) return text;
  const at = text.lastIndexOf('@');
  const [run, step] = at === -1 ? [text, null] : [text.slice(0, at), Number(text.slice(at + 1))];
  const store = CheckpointStore.read(join(run, 'checkpoints'));
  const found = store
    .list()
    .findLast((checkpoint) => checkpoint.manifest !== null && (step === null || checkpoint.step === step));
  if (found === undefined)
    throw new ShowtellError('checkpoint/missing', { path: text, detail: 'no such checkpoint is there' });
  return found.path;
}
