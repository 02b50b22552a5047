import { ShowtellError } from '@showtell/shared/errors.js';
import { verifyCheckpoint } from '../../checkpoints/read-checkpoint.js';
import { checkpointsOf, locateCheckpoint } from '../checkpoint-location.js';

/** `showtell checkpoint verify`. @throws ShowtellError of the last damaged one, after all have been told */
export async function verify(location: string, json: boolean): Promise<void> {
  const paths = pathsOf(location);
  const results: { path: string; sound: boolean; detail: string }[] = [];
  let damage: ShowtellError | null = null;
  for (const path of paths) {
    try {
      const { files } = await verifyCheckpoint(path);
      results.push({ path, sound: true, detail: `${Object.keys(files).join(', ')} as written` });
    } catch (error) {
      if (!(error instanceof ShowtellError)) throw error;
      damage = error;
      results.push({ path, sound: false, detail: error.message });
    }
  }
  if (json) process.stdout.write(`${JSON.stringify(results)}\n`);
  else
    for (const { path, sound, detail } of results)
      process.stdout.write(sound ? `sound    ${path}: ${detail}\n` : `damaged  ${detail}\n`);
  if (damage !== null) throw damage;
}

function pathsOf(location: string): string[] {
  const named = locateCheckpoint(location);
  try {
    return checkpointsOf(location)
      .list()
      .map(({ path }) => path);
  } catch {
    return [named];
  }
}
