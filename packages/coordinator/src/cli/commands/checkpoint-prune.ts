import { type Command, InvalidArgumentError } from 'commander';

export function register(parent: Command): void {
  parent
    .command('prune')
    .description('remove old checkpoints; the last, the best and pinned ones stay')
    .argument('<run>', "the run's folder")
    .requiredOption('--keep <n>', 'how many of the last to keep, at least 1', naturalNumber)
    .option('--dry-run', 'only tell what would be removed')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExit codes: 0, 66 when there is no such run.\n\nExample:\n  showtell checkpoint prune runs/demo --keep 1 --dry-run',
    )
    .action(async (run: string, options: { keep: number; dryRun?: true; json?: true }) => {
      const { checkpointsOf } = await import('../checkpoint-location.js');
      const store = checkpointsOf(run);
      const dryRun = options.dryRun === true;
      const removed = store.prune({ keepLast: options.keep, keepBest: true }, dryRun);
      const kept = store.list().flatMap(({ step }) => (removed.includes(step) ? [] : [step]));
      if (options.json === true) process.stdout.write(`${JSON.stringify({ removed, kept, dryRun })}\n`);
      else
        process.stdout.write(
          `${dryRun ? 'would remove' : 'removed'} ${removed.length === 0 ? 'nothing' : `steps ${removed.join(', ')}`}; ${kept.join(', ')} stay\n`,
        );
    });
}

function naturalNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return number;
}
