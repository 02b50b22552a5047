import { existsSync } from 'node:fs';
import path from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { CheckpointStore } from '../checkpoints/checkpoint-store.js';
import { manifestFile } from '../checkpoints/manifest.js';

/** The checkpoints of a run that is looked at, not written. @throws ShowtellError `checkpoint/missing` */
export function checkpointsOf(run: string): CheckpointStore {
  const directory = path.join(run, 'checkpoints');
  if (!existsSync(directory))
    throw new ShowtellError('checkpoint/missing', { path: directory, detail: 'the run has no such folder' });
  return CheckpointStore.read(directory);
}

/**
 * The folder of the checkpoint that `RUN`, `RUN@STEP`, `RUN@best` or the folder itself names; without a step the newest of the run.
 * @throws ShowtellError `checkpoint/missing`, `usage/invalid`
 */
export function locateCheckpoint(location: string): string {
  if (existsSync(path.join(location, manifestFile))) return location;
  const at = location.lastIndexOf('@');
  const hasStep = at > 0 && !existsSync(location);
  const run = hasStep ? location.slice(0, at) : location;
  const store = checkpointsOf(run);
  if (hasStep) {
    const step = location.slice(at + 1);
    if (step === 'best') {
      const best = store.best();
      if (best !== undefined) return best.path;
      const detail = 'none was evaluated with captions';
      throw new ShowtellError('checkpoint/missing', { path: store.directory, detail });
    }
    if (!/^\d+$/.test(step))
      throw new ShowtellError('usage/invalid', {
        detail: `"${step}" in ${location} is no step.`,
        command: 'checkpoint',
      });
    const folder = store.pathOf(Number(step));
    if (!existsSync(folder)) throw new ShowtellError('checkpoint/missing', { path: folder, detail: `no step ${step}` });
    return folder;
  }
  const newest = store.list().at(-1);
  if (newest === undefined)
    throw new ShowtellError('checkpoint/missing', { path: store.directory, detail: 'the folder is empty' });
  return newest.path;
}
