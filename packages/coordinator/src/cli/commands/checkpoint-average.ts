import type { Command } from 'commander';

export function register(parent: Command): void {
  parent
    .command('average')
    .description('write the mean of checkpoints of one model')
    .argument('<checkpoint...>', "RUN, RUN@STEP or checkpoints' folders, two or more")
    .requiredOption('--out <dir>', 'the checkpoint folder to make')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Each value is summed in float64, divided and rounded once. Step, phase and job are the latest one's.

Exit codes: 0, 64 it is only one, 65 they are of different models or vocabularies or one is damaged, 66 one is not there,
73 --out is there already or cannot be written.

Example:
  showtell checkpoint average runs/a@800 runs/a@900 runs/a@1000 --out averaged`,
    )
    .action(async (locations: readonly string[], { out, json }: { out: string; json?: true }) => {
      const { ShowtellError } = await import('@showtell/shared/errors.js');
      const { averageCheckpoints } = await import('../../checkpoints/average.js');
      const { locateCheckpoint } = await import('../checkpoint-location.js');
      if (locations.length < 2)
        throw new ShowtellError('usage/invalid', {
          detail: 'One checkpoint has no mean: name two or more.',
          command: 'checkpoint average',
        });
      const { parameters, step } = await averageCheckpoints(locations.map(locateCheckpoint), out);
      if (json === true)
        process.stdout.write(`${JSON.stringify({ out, step, checkpoints: locations.length, parameters })}\n`);
      else process.stdout.write(`${out}: mean of ${locations.length}, step ${step}, sha256 ${parameters.sha256}\n`);
    });
}
