import type { Command } from 'commander';
import { runWorkerPackage } from '../run-worker-package.js';

export function register(program: Command): void {
  program
    .command('worker')
    .description('join a run as a worker and compute its units (the same as showtell-worker)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'passed on')
    .action(async (options: readonly string[]) => {
      process.exitCode = await runWorkerPackage('main.js', options);
    });
}
