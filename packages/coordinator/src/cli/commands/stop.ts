import type { Command } from 'commander';
import { CommandRequest_Kind } from '@showtell/shared/generated/showtell/v1/control.js';
import { commandRunning } from './command-running.js';

export function register(program: Command): void {
  program
    .command('stop')
    .description('stop a run with a checkpoint, to be resumed later')
    .argument('<run>', "the run's folder")
    .addHelpText(
      'after',
      `
Local workers and nats-server end with it. "showtell train --run RUN --resume" goes on from there.

Exit codes: 0 done, 66 there is no such run, 69 no coordinator is at work on it.`,
    )
    .action(async (run: string) => {
      const { step } = await commandRunning(run, CommandRequest_Kind.KIND_STOP);
      process.stdout.write(`Stopping after step ${step}.\n`);
    });
}
