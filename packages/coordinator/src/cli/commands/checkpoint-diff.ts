import type { Command } from 'commander';
import type { TensorDifference } from '../../checkpoints/diff.js';

export function register(parent: Command): void {
  parent
    .command('diff')
    .description('tell how far two checkpoints are apart, tensor by tensor')
    .argument('<a>', 'RUN, RUN@STEP or a folder')
    .argument('<b>', 'RUN, RUN@STEP or a folder')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExit codes: 0 whatever it finds, 65 one is damaged, 66 one is not there.\n\nExample:\n  showtell checkpoint diff runs/a@300 runs/a@600',
    )
    .action(async (a: string, b: string, { json }: { json?: true }) => {
      const { diffTensors } = await import('../../checkpoints/diff.js');
      const { openCheckpoint } = await import('../../checkpoints/open-checkpoint.js');
      const { locateCheckpoint } = await import('../checkpoint-location.js');
      const [first, second] = [locateCheckpoint(a), locateCheckpoint(b)];
      const difference = diffTensors((await openCheckpoint(first)).tensors, (await openCheckpoint(second)).tensors);
      if (json === true) {
        process.stdout.write(`${JSON.stringify(difference)}\n`);
        return;
      }
      for (const name of difference.missing) process.stdout.write(`only in ${a}: ${name}\n`);
      for (const name of difference.added) process.stdout.write(`only in ${b}: ${name}\n`);
      const changed = difference.tensors.filter(({ identical }) => !identical);
      for (const tensor of changed) process.stdout.write(`${line(tensor)}\n`);
      process.stdout.write(`${changed.length} of ${difference.tensors.length} tensors in both differ\n`);
    });
}

function line({ name, shapes, maxAbsolute, maxRelative }: TensorDifference): string {
  const [a, b] = shapes.map((shape) => `[${shape.join(', ')}]`);
  if (maxAbsolute === null && a !== b) return `${name}: shape ${a ?? ''} and ${b ?? ''}`;
  if (maxAbsolute === null) return `${name}: values that are not finite`;
  return `${name}: by at most ${maxAbsolute.toExponential(3)}, ${((maxRelative ?? 0) * 100).toPrecision(3)} % of its largest value`;
}
