import type { Command } from 'commander';
import type { SplitRule } from '../../data/split-pictures.js';
import { integerFrom, shardsOption, splitOption, threadsOption } from '../data-options.js';

interface Flags {
  annotations: string;
  images: string;
  valAnnotations?: string;
  valImages?: string;
  out: string;
  split: SplitRule;
  minWordCount: number;
  maxWords: number;
  trainShards?: number;
  valShards?: number;
  testShards?: number;
  seed: number;
  threads: number;
  convert?: true;
  skipBad?: true;
  json?: true;
}

const help = `
With --val-annotations the set is divided as im2txt divides MSCOCO: all of --annotations and 85 % of the other to
train on, 5 % to validate, 10 % to test. With one file of 100 pictures or more that file is divided so, shuffled by
--seed. A smaller one is not divided: train, val and test are all of it, so that a handful of pictures trains.
--split 0.8,0.1,0.1 gives other shares, --split reuse never divides.

An interrupted build goes on where it stopped when the same command is given again. docs/data.md tells the whole of it.

Exit codes: 0, 65 a picture or caption cannot be used (the message names it), 66 a file is missing.

Example:
  showtell data build-coco --annotations captions_train2014.json --images train2014 \\
    --val-annotations captions_val2014.json --val-images val2014 --out data/mscoco`;

/** `showtell data build-coco`. */
export function register(parent: Command): void {
  parent
    .command('build-coco')
    .description('turn COCO caption annotations and JPEGs into TFRecords as im2txt has them')
    .requiredOption('--annotations <file>', 'COCO caption annotations, such as captions_train2014.json')
    .requiredOption('--images <dir>', 'folder of their JPEGs')
    .option('--val-annotations <file>', "COCO's annotations for validation, such as captions_val2014.json")
    .option('--val-images <dir>', 'folder of their JPEGs (default: --images)')
    .requiredOption('--out <dir>', 'data folder to make')
    .addOption(splitOption())
    .option('--min-word-count <n>', 'rarer words become <UNK>', integerFrom(1), 4)
    .option('--max-words <n>', 'longer captions are refused', integerFrom(1), 100)
    .addOption(shardsOption('train', 256))
    .addOption(shardsOption('val', 4))
    .addOption(shardsOption('test', 8))
    .option('--seed <n>', 'what the order of records is drawn from', integerFrom(0), 12345)
    .addOption(threadsOption())
    .option('--convert', 'encode PNG, CMYK and other pictures anew as RGB JPEG instead of refusing them')
    .option('--skip-bad', 'leave out pictures and captions that cannot be used, and name them')
    .option('--json', 'print the result as one JSON line')
    .addHelpText('after', help)
    .action(async (flags: Flags) => {
      const { buildCoco } = await import('../../data/build-coco.js');
      const { reportBuilt } = await import('../data-report.js');
      const { terminalProgress } = await import('../terminal-progress.js');
      const built = await buildCoco({
        directory: flags.out,
        annotations: flags.annotations,
        images: flags.images,
        valAnnotations: flags.valAnnotations ?? null,
        valImages: flags.valImages ?? null,
        split: flags.split,
        minWordCount: flags.minWordCount,
        maxWords: flags.maxWords,
        shards: { train: flags.trainShards ?? null, val: flags.valShards ?? null, test: flags.testShards ?? null },
        seed: flags.seed,
        threads: flags.threads,
        convert: flags.convert === true,
        skipBad: flags.skipBad === true,
        progress: terminalProgress(),
      });
      await reportBuilt(flags.out, built, flags.json === true);
    });
}
