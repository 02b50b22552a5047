import type { Command } from 'commander';
import { CommandRequest_Kind } from '@showtell/shared/generated/showtell/v1/control.js';
import { commandRunning } from './command-running.js';

export function register(program: Command): void {
  program
    .command('resume')
    .description('let a paused run go on')
    .argument('<run>', "the run's folder")
    .addHelpText(
      'after',
      `
A run that was stopped goes on by "showtell train --run RUN --resume".

Exit codes: 0 done, 66 there is no such run, 69 no coordinator is at work on it.`,
    )
    .action(async (run: string) => {
      const { step } = await commandRunning(run, CommandRequest_Kind.KIND_RESUME);
      process.stdout.write(`Training on from step ${step}.\n`);
    });
}
