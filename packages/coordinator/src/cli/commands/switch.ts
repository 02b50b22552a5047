import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

export function register(program: Command): void {
  const command = program
    .command('switch')
    .description('begin the joint phase after the step at hand')
    .argument('<run>', "the run's folder");
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
The version after the step at hand is evaluated, and the joint phase begins if the job's guard allows it; else the
decoder-only phase goes on and the log says why. The order stands in the run's journal with its step: a run resumed
from before it switches at the same step, so that its parameters are the same.

Exit codes: 0 asked for, 66 there is no such run, 69 no coordinator is at work on it, or the phase cannot begin.`,
    )
    .action(async (run: string) => {
      const { commandRunning } = await import('../command-running.js');
      const { step } = await commandRunning(run, 'KIND_SWITCH');
      process.stdout.write(`Asked for the joint phase at step ${step}.\n`);
    });
}
