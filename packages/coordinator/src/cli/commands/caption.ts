import type { Command } from 'commander';
import { type EngineAsked, engineOption } from '../engine-option.js';
import { integerFrom } from '../data-options.js';

interface CaptionFlags {
  readonly checkpoint: string;
  readonly beam?: number;
  readonly vocabulary?: string;
  readonly json?: true;
  readonly html?: string;
  readonly watch?: string;
  readonly recursive?: true;
  readonly upright?: true;
  readonly maxMegapixels?: string;
  readonly maxMegabytes?: string;
  readonly timeout?: string;
  readonly threads?: number;
  readonly engine?: EngineAsked;
}

export function register(program: Command): void {
  program
    .command('caption')
    .description('caption pictures with a trained checkpoint')
    .argument('[pictures...]', 'files, folders, globs, http(s) addresses, or - for one picture on standard input')
    .requiredOption(
      '--checkpoint <run|dir>',
      "a run's folder (its newest checkpoint), RUN@STEP, RUN@best, or a checkpoint's folder",
    )
    .option('--beam <n>', "beam width, and so many captions a picture (default: the job's)", integerFrom(1))
    .option('--json', 'a JSON line a picture: {"image", "captions": [{"caption", "logprob"}, …]}, best first')
    .option('--html <file>', 'also write a page of all pictures and captions, one file without scripts')
    .option('--watch <dir>', 'then caption pictures as they appear in a folder, until Ctrl-C')
    .option('--recursive', 'look into folders within folders')
    .option('--upright', 'turn JPEGs upright by their EXIF tag; training does not')
    .option('--max-megapixels <n>', 'refuse larger pictures by their header (default: 50)')
    .option('--max-megabytes <n>', 'refuse larger files and downloads (default: 64)')
    .option('--timeout <seconds>', 'how long an address may take (default: 30)')
    .option('--threads <n>', "threads of the engine (default: the job's)", integerFrom(1))
    .addOption(engineOption("the job's"))
    .option('--vocabulary <file>', 'the word_counts.txt, where it is neither with the checkpoint nor with its data')
    .addHelpText(
      'after',
      `
Each caption stands beside its probability, the product of its words' and the end's; logprob is its natural logarithm.
Pictures are computed in batches, and read and decoded ahead; results come in the order of the arguments. JPEG is decoded as
TensorFlow decodes it in training; of PNG, GIF (first frame), BMP and WebP docs/caption.md tells. What cannot be captioned is
named on standard error, and the others go on.

Exit codes: 0 every picture was captioned; otherwise that of the first that was not: 65 no picture, damaged or too large,
66 missing, an address that gave none, a folder or glob without pictures. 64 and 65 before any: the command line, the
checkpoint. With --watch, Ctrl-C and SIGTERM end it, finish the page, and the same holds.

Examples:
  showtell caption --checkpoint runs/demo photo.jpg
  showtell caption --checkpoint runs/demo@900 --beam 5 --json 'photos/**/*.jpg' > captions.jsonl
  showtell caption --checkpoint runs/demo --recursive photos --html sheet.html
  curl -s https://example.org/cat.jpg | showtell caption --checkpoint runs/demo -`,
    )
    .action(async (pictures: readonly string[], flags: CaptionFlags) => {
      const { runOnCheckpoint } = await import('../run-on-checkpoint.js');
      process.exitCode = await runOnCheckpoint('caption.js', { ...flags }, ['--', ...pictures]);
    });
}
