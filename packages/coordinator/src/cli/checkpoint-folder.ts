import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { CheckpointStore } from '../checkpoints/checkpoint-store.js';

/**
 * The checkpoint's folder that a person means by `RUN`, `RUN@STEP`, `RUN@best` or the folder itself; of a run the newest.
 *
 * @throws ShowtellError `checkpoint/missing`
 */
export function checkpointFolder(text: string): string {
  if (existsSync(join(text, 'manifest.json'))) return text;
  const at = text.lastIndexOf('@');
  const [run, wanted] = at === -1 ? [text, null] : [text.slice(0, at), text.slice(at + 1)];
  const store = CheckpointStore.read(join(run, 'checkpoints'));
  const isWanted = (step: number): boolean => wanted === null || step === Number(wanted);
  const found =
    wanted === 'best'
      ? store.best()
      : store.list().findLast(({ manifest, step }) => manifest !== null && isWanted(step));
  if (found === undefined) {
    const detail = wanted === 'best' ? 'none that was evaluated with captions is there' : 'no such checkpoint is there';
    throw new ShowtellError('checkpoint/missing', { path: text, detail });
  }
  return found.path;
}
