import type { Command } from 'commander';

export function register(parent: Command): void {
  parent
    .command('verify')
    .description("check every byte of a run's checkpoints, or of one, against their hashes")
    .argument('<checkpoint>', "RUN for all of its checkpoints, RUN@STEP, or a checkpoint's folder")
    .option('--json', 'print one JSON array')
    .addHelpText('after', '\nExit codes: 0 all are sound, 65 one is damaged, 66 there is none.')
    .action(async (location: string, { json }: { json?: true }) => {
      const { verify } = await import('../actions/checkpoint-verify.js');
      await verify(location, json === true);
    });
}
