import { checkpointFolder } from './checkpoint-folder.js';
import { deviceOfCheckpoint } from './engine-device.js';
import type { EngineAsked } from './engine-option.js';
import { passOn, runWorkerPackage } from './run-worker-package.js';

/**
 * Runs one of the worker package's programs on a checkpoint, with a command's flags passed on.
 *
 * @param rest arguments behind the flags
 * @returns its exit code
 * @throws ShowtellError where the checkpoint cannot be found
 */
export function runOnCheckpoint(
  program: string,
  {
    checkpoint,
    ...flags
  }: Parameters<typeof passOn>[0] & { readonly checkpoint: string; readonly engine?: EngineAsked },
  rest: readonly string[] = [],
): Promise<number> {
  const folder = checkpointFolder(checkpoint);
  const device = deviceOfCheckpoint(folder, flags.engine);
  return runWorkerPackage(program, ['--checkpoint', folder, ...passOn(flags), ...rest], device);
}
