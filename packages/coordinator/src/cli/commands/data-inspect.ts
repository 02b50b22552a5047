import type { Command } from 'commander';
import { integerFrom } from '../data-options.js';

/** `showtell data inspect`. */
export function register(parent: Command): void {
  parent
    .command('inspect')
    .description('show what a data folder or a TFRecord file holds')
    .argument('<path>', 'data folder, or a file such as train-00000-of-00256')
    .option('--records <n>', 'records to show', integerFrom(0), 3)
    .option('--json', 'print the result as one JSON line')
    .addHelpText(
      'after',
      '\nExamples:\n  showtell data inspect data/scenes\n  showtell data inspect data/scenes/val-00000-of-00002 --records 10',
    )
    .action(async (path: string, { records, json }: { records: number; json?: true }) => {
      const { inspect } = await import('../actions/data-inspect.js');
      await inspect(path, records, json === true);
    });
}
