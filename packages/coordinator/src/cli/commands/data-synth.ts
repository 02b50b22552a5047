import type { Command } from 'commander';
import { integerFrom, shardsOption, threadsOption } from '../data-options.js';

interface Flags {
  out: string;
  seed: number;
  train: number;
  val?: number;
  test?: number;
  size: number;
  objects: number;
  maxCount: number;
  backgrounds: number;
  captions: number;
  trainShards?: number;
  valShards?: number;
  testShards?: number;
  threads: number;
  json?: true;
}

/** `showtell data synth`. */
export function register(parent: Command): void {
  parent
    .command('synth')
    .description('draw a COCO-format set of coloured scenes with captions, as TFRecords ready to train on')
    .requiredOption('--out <dir>', 'data folder to make')
    .option('--seed <n>', 'what everything is drawn from', integerFrom(0), 1)
    .requiredOption('--train <n>', 'pictures to train on', integerFrom(1))
    .option('--val <n>', 'pictures to validate on (default: a tenth of --train, at least 8)', integerFrom(1))
    .option('--test <n>', 'pictures held back for tests (default: a tenth of --train, at least 8)', integerFrom(1))
    .option('--size <pixels>', 'side of a picture', integerFrom(16), 96)
    .option('--objects <n>', 'kinds of things in a scene, at most (1 to 3)', integerFrom(1), 1)
    .option('--max-count <n>', 'things of one kind, at most (1 to 3)', integerFrom(1), 1)
    .option(
      '--backgrounds <n>',
      'backgrounds: 1 plain, 2 and striped, 3 and dotted, 4 and checkered',
      integerFrom(1),
      1,
    )
    .option('--captions <n>', 'captions a picture', integerFrom(1), 5)
    .addOption(shardsOption('train', 256))
    .addOption(shardsOption('val', 4))
    .addOption(shardsOption('test', 8))
    .addOption(threadsOption())
    .option('--json', 'print the result as one JSON line')
    .addHelpText(
      'after',
      `
The same options give the same folder, byte for byte. Given again, the command goes on where it stopped.

Example:
  showtell data synth --out data/scenes --seed 1 --train 3000`,
    )
    .action(async (flags: Flags) => {
      const { synthesize } = await import('../../data/synth.js');
      const { reportBuilt } = await import('../data-report.js');
      const { terminalProgress } = await import('../terminal-progress.js');
      const tenth = Math.max(8, Math.ceil(flags.train / 10));
      const built = await synthesize({
        directory: flags.out,
        seed: flags.seed,
        pictures: { train: flags.train, val: flags.val ?? tenth, test: flags.test ?? tenth },
        size: flags.size,
        objects: flags.objects,
        maxCount: flags.maxCount,
        backgrounds: flags.backgrounds,
        captions: flags.captions,
        shards: { train: flags.trainShards ?? null, val: flags.valShards ?? null, test: flags.testShards ?? null },
        threads: flags.threads,
        progress: terminalProgress(),
      });
      await reportBuilt(flags.out, built, flags.json === true);
    });
}
