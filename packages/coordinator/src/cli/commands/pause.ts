import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

export function register(program: Command): void {
  const command = program
    .command('pause')
    .description('let a run finish its step and wait')
    .argument('<run>', "the run's folder");
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
The workers stay. "showtell resume" lets the run go on.

Exit codes: 0 done, 66 there is no such run, 69 no coordinator is at work on it.`,
    )
    .action(async (run: string) => {
      const { commandRunning } = await import('../command-running.js');
      const { step } = await commandRunning(run, 'KIND_PAUSE');
      process.stdout.write(`Paused at step ${step}.\n`);
    });
}
