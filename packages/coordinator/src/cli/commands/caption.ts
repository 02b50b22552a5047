import type { Command } from 'commander';
import { checkpointFolder } from '../checkpoint-folder.js';
import { integerFrom } from '../data-options.js';
import { runWorkerPackage } from '../run-worker-package.js';

interface CaptionFlags {
  readonly checkpoint: string;
  readonly beam?: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('caption')
    .description('caption pictures with a trained checkpoint')
    .argument('<image...>', 'picture files')
    .requiredOption(
      '--checkpoint <run|dir>',
      "a run's folder (its newest checkpoint), RUN@STEP, or a checkpoint's folder",
    )
    .option('--beam <n>', "beam width (default: the job's)", integerFrom(1))
    .option('--json', 'a JSON line a picture: {"image", "captions": [{"caption", "logprob"}, …]}, best first')
    .addHelpText(
      'after',
      `
A caption's logprob is the natural logarithm of its probability: the sum over its words, the end included. Pictures
that are missing or do not decode are named on standard error; the others are captioned.

Exit codes: 0, 65 when a picture or the checkpoint is damaged, 66 when one is missing.

Examples:
  showtell caption --checkpoint runs/demo photo.jpg
  showtell caption --checkpoint runs/demo@900 --beam 5 --json *.jpg`,
    )
    .action(async (images: readonly string[], { checkpoint, beam, json }: CaptionFlags) => {
      const args = ['--checkpoint', checkpointFolder(checkpoint)];
      if (beam !== undefined) args.push('--beam', String(beam));
      if (json === true) args.push('--json');
      process.exitCode = await runWorkerPackage('caption.js', [...args, '--', ...images]);
    });
}
