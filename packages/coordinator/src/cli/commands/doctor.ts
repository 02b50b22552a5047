import type { Command } from 'commander';

/** `showtell doctor`: what this machine has, and what to do for each red line. */
export function register(program: Command): void {
  program
    .command('doctor')
    .description('check this machine: Node, engine, NATS, instruction sets, GPU, disk, memory, ports')
    .option('--json', 'print {"ok", "checks": [{"name", "state", "found", "remedy"}, …]}')
    .addHelpText(
      'after',
      '\nChanges nothing. Exit codes: 0 nothing is red, 1 something is; each red line says what to do about it.',
    )
    .action(async (options: { readonly json?: true }) => {
      const { checkAndTell } = await import('../actions/doctor.js');
      await checkAndTell(options.json === true);
    });
}
