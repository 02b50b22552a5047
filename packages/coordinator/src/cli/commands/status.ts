import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';

export function register(program: Command): void {
  const command = program
    .command('status')
    .description('what a run is doing, or where it stands when it is not running')
    .argument('<run>', "the run's folder")
    .option('--json', 'print one JSON object');
  tlsOption(command, 'client')
    .addHelpText(
      'after',
      `
Exit codes: 0, 66 when there is no such run, 69 when its coordinator does not answer.

Examples:
  showtell status runs/demo
  showtell status runs/demo --json`,
    )
    .action(async (run: string, { json }: { json?: true }) => {
      const { printStatus } = await import('../actions/status.js');
      await printStatus(run, json === true);
    });
}
