import type { Command } from 'commander';
import { runWorkerPackage } from '../run-worker-package.js';

export function register(program: Command): void {
  program
    .command('worker')
    .description('a worker that joins a run (the same as showtell-worker; its options: showtell worker --help)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'passed on')
    .action(async (options: readonly string[]) => {
      process.exitCode = await runWorkerPackage('main.js', options);
    });
}
