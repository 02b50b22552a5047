import type { Command } from 'commander';
import { integerFrom } from '../data-options.js';

interface Flags {
  decode?: true;
  excludeCorrupt?: true;
  maxWords: number;
  json?: true;
}

/** `showtell data index`. */
export function register(parent: Command): void {
  parent
    .command('index')
    .description(
      'index TFRecords that im2txt made, which makes their folder one to train on; needs its word_counts.txt',
    )
    .argument('<dir>', 'folder with train-00000-of-00256 …, val-…, test-… and word_counts.txt')
    .option('--decode', 'decode every picture; those that do not decode are excluded by name')
    .option('--exclude-corrupt', 'exclude records whose bytes do not have their CRC, instead of refusing the shard')
    .option('--max-words <n>', 'longer captions are excluded', integerFrom(1), 100)
    .option('--json', 'print the result as one JSON line')
    .addHelpText(
      'after',
      '\nExit codes: 0, 65 a shard has records that are not sound, 66 a file is missing.\n\nExample:\n  showtell data index data/im2txt --decode',
    )
    .action(async (directory: string, flags: Flags) => {
      const { indexFolder } = await import('../../data/index-folder.js');
      const { reportBuilt } = await import('../data-report.js');
      const { terminalProgress } = await import('../terminal-progress.js');
      const manifest = await indexFolder({
        directory,
        decode: flags.decode === true,
        excludeCorrupt: flags.excludeCorrupt === true,
        maxWords: flags.maxWords,
        progress: terminalProgress(),
      });
      await reportBuilt(directory, manifest, flags.json === true);
    });
}
