import type { Command } from 'commander';
import { CommandRequest_Kind } from '@showtell/shared/generated/showtell/v1/control.js';
import { commandRunning } from './command-running.js';

export function register(program: Command): void {
  program
    .command('pause')
    .description('let a run finish its step and wait')
    .argument('<run>', "the run's folder")
    .addHelpText(
      'after',
      `
The workers stay. "showtell resume" lets the run go on.

Exit codes: 0 done, 66 there is no such run, 69 no coordinator is at work on it.`,
    )
    .action(async (run: string) => {
      const { step } = await commandRunning(run, CommandRequest_Kind.KIND_PAUSE);
      process.stdout.write(`Paused at step ${step}.\n`);
    });
}
