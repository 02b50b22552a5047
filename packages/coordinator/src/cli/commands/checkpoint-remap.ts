import type { Command } from 'commander';
import { integerFrom } from '../data-options.js';

interface RemapFlags {
  readonly vocabulary: string;
  readonly out: string;
  readonly from?: string;
  readonly rows?: number;
  readonly json?: true;
}

/** Words that a line names; `--json` has them all. */
const mostNamed = 20;

export function register(parent: Command): void {
  parent
    .command('remap')
    .description('give a checkpoint another vocabulary; words that both have keep their rows')
    .argument('<checkpoint>', "RUN for its newest, RUN@STEP, RUN@best, or a checkpoint's folder")
    .requiredOption('--vocabulary <file>', 'word_counts.txt of the new words')
    .requiredOption('--out <dir>', 'the checkpoint folder to make')
    .option('--from <file>', 'word_counts.txt that it was trained with (default: beside it, in its run, in its data)')
    .option('--rows <n>', 'rows of the tables (default: as many as before, or as the words need)', integerFrom(1))
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Rows of the embedding, columns and biases of the logits are kept by word, that of <UNK> too; new words get first values
from the job's seed. A run takes such a checkpoint by "train --from DIR" with model.decoder.vocabulary at its rows.
The optimizer's state is left out.

Exit codes: 0, 65 a vocabulary does not fit, 66 something is not there, 73 --out is there already or cannot be written.

Example:
  showtell checkpoint remap runs/a --vocabulary data/more/word_counts.txt --out remapped`,
    )
    .action(async (location: string, { vocabulary, out, from, rows, json }: RemapFlags) => {
      const { openCheckpoint } = await import('../../checkpoints/open-checkpoint.js');
      const { remapCheckpoint } = await import('../../checkpoints/remap.js');
      const { locateCheckpoint } = await import('../checkpoint-location.js');
      const checkpoint = await openCheckpoint(locateCheckpoint(location));
      const options = { vocabulary, out, from: from ?? null, rows: rows ?? null };
      const { manifest, ...report } = await remapCheckpoint(checkpoint, options);
      const sha256 = manifest.parameters.sha256;
      if (json === true) {
        process.stdout.write(`${JSON.stringify({ out, sha256, ...report })}\n`);
        return;
      }
      const { kept, added, dropped } = report;
      process.stdout.write(
        `${out}: ${kept} words keep their rows, ${report.rows.before} rows became ${report.rows.now}, sha256 ${sha256}\n` +
          line('new', added) +
          line('dropped', dropped),
      );
    });
}

function line(what: string, words: readonly string[]): string {
  if (words.length === 0) return `${what}: none\n`;
  const more = words.length > mostNamed ? ` … (${words.length})` : '';
  return `${what}: ${words.slice(0, mostNamed).join(' ')}${more}\n`;
}
