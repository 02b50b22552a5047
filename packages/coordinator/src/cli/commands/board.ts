import type { Command } from 'commander';
import { portFrom } from '../data-options.js';

interface BoardFlags {
  readonly host: string;
  readonly port: number;
  readonly tokenFile?: string;
}

export function register(program: Command): void {
  program
    .command('board')
    .description('show runs in a browser from their files, whether they have ended or not')
    .argument('<runs...>', "the runs' folders; several are compared")
    .option('--host <address>', 'where to listen; elsewhere than on loopback it asks for a token', '127.0.0.1')
    .option('--port <port>', 'port; 0 takes a free one', portFrom, 9470)
    .option('--token-file <file>', 'a file with the token that the page asks for (or SHOWTELL_TOKEN has it)')
    .addHelpText(
      'after',
      `
It reads and never writes. A run at work is followed; to pause or stop it there is the page of its own coordinator,
whose address "showtell train" prints. docs/page.md tells what the page shows.

Ends at Ctrl-C. Exit codes: 0 it was told to stop, 66 there is no such run, 69 the port is taken, 78 the token is short or
missing.

Examples:
  showtell board runs/demo
  showtell board runs/a runs/b --port 9000`,
    )
    .action(async (runs: string[], flags: BoardFlags) => {
      const { board } = await import('../actions/board.js');
      await board(runs, flags);
    });
}
