import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

export function register(program: Command): void {
  const command = program.command('resume').description('let a paused run go on').argument('<run>', "the run's folder");
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
A run that was stopped goes on by "showtell train --run RUN --resume".

Exit codes: 0 done, 66 there is no such run, 69 no coordinator is at work on it.`,
    )
    .action(async (run: string) => {
      const { commandRunning } = await import('../command-running.js');
      const { step } = await commandRunning(run, 'KIND_RESUME');
      process.stdout.write(`Training on from step ${step}.\n`);
    });
}
