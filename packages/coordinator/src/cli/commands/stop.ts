import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

export function register(program: Command): void {
  const command = program
    .command('stop')
    .description('stop a run with a checkpoint, to be resumed later')
    .argument('<run>', "the run's folder");
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
Local workers and nats-server end with it. "showtell train --run RUN --resume" goes on from there.

Exit codes: 0 done, 66 there is no such run, 69 no coordinator is at work on it.`,
    )
    .action(async (run: string) => {
      const { commandRunning } = await import('../command-running.js');
      const { step } = await commandRunning(run, 'KIND_STOP');
      process.stdout.write(`Stopping after step ${step}.\n`);
    });
}
