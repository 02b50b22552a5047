import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

export function register(program: Command): void {
  const command = program
    .command('top')
    .description('watch runs in the terminal: progress, scores, where a step goes, what each worker does')
    .argument('<run...>', "the runs' folders")
    .option('--once', 'print it once and exit, as where standard output is no terminal');
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
Drawn anew every second from what "showtell status" reads. Keys: q quits; with one run, p pauses it and r resumes it.

COMPUTE, DATA, PARAMS and IDLE are shares of a worker's time between its last two reports, which come every 2 s: its
engine at work, or waiting for a decoded batch, for the next version, for a unit.

Exit codes: 0, 66 when there is no such run.

Examples:
  showtell top runs/demo
  showtell top runs/a runs/b --once`,
    )
    .action(async (runs: string[], { once }: { once?: true }) => {
      const { top } = await import('../actions/top.js');
      await top(runs, once === true);
    });
}
