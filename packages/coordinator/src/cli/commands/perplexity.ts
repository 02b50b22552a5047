import type { Command } from 'commander';
import { type EngineAsked, engineOption } from '../engine-option.js';

interface PerplexityFlags {
  readonly checkpoint: string;
  readonly records: readonly string[];
  readonly vocabulary?: string;
  readonly json?: true;
  readonly engine?: EngineAsked;
}

export function register(program: Command): void {
  program
    .command('perplexity')
    .description("perplexity of a trained checkpoint on TFRecords, as im2txt's evaluate.py computes it")
    .requiredOption(
      '--checkpoint <run|dir>',
      "a run's folder (its newest checkpoint), RUN@STEP, RUN@best, or a checkpoint's folder",
    )
    .requiredOption('--records <glob...>', 'TFRecord files as im2txt wrote them; with *, ? and [a-c], parted by commas')
    .addOption(engineOption("the job's"))
    .option('--vocabulary <file>', "the checkpoint's word_counts.txt (default: the one beside it or in its run's data)")
    .option('--json', 'print {"perplexity", "words", "sequences"}')
    .addHelpText(
      'after',
      `
Every record counts once: captions whole, pictures as in evaluation, no dropout. No index is needed beside the files.
All records are checked before the first is computed. Words are those to be said, </S> among them; perplexity is e to the
mean of −log p over them.

Exit codes: 0, 65 when the checkpoint or a record is damaged or its words are not the checkpoint's, 66 when no file matches.

Example:
  showtell perplexity --checkpoint runs/coco --records 'mscoco/val-?????-of-00004' --json`,
    )
    .action(async ({ records, ...flags }: PerplexityFlags) => {
      const { runOnCheckpoint } = await import('../run-on-checkpoint.js');
      const patterns = records.map((pattern) => `--records=${pattern}`);
      const progress = process.stderr.isTTY ? ['--progress'] : [];
      process.exitCode = await runOnCheckpoint('perplexity.js', { ...flags }, [...patterns, ...progress]);
    });
}
