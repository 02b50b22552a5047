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
    .action(async (images: readonly string[], { checkpoint, beam, json }: CaptionFlags) => {
      const args = ['--checkpoint', checkpointFolder(checkpoint)];
      if (beam !== undefined) args.push('--beam', String(beam));
      if (json === true) args.push('--json');
      process.exitCode = await runWorkerPackage('caption.js', [...args, '--', ...images]);
    });
}
