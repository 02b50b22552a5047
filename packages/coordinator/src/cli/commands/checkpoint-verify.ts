import type { Command } from 'commander';
import { ShowtellError } from '@showtell/shared/errors.js';
import { verifyCheckpoint } from '../../checkpoints/read-checkpoint.js';
import { checkpointsOf, locateCheckpoint } from '../checkpoint-location.js';

export function register(parent: Command): void {
  parent
    .command('verify')
    .description("check every byte of a run's checkpoints, or of one, against their hashes")
    .argument('<checkpoint>', "RUN for all of its checkpoints, RUN@STEP, or a checkpoint's folder")
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExit codes: 0 all are sound, 65 one is damaged, 66 there is none.')
    .action(async (location: string, { json }: { json?: true }) => {
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
      if (json === true) process.stdout.write(`${JSON.stringify(results)}\n`);
      else
        for (const { path, sound, detail } of results)
          process.stdout.write(sound ? `sound    ${path}: ${detail}\n` : `damaged  ${detail}\n`);
      if (damage !== null) throw damage;
    });
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
