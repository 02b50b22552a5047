import type { Command } from 'commander';

export function register(program: Command): void {
  program
    .command('worker')
    .description('join a run as a worker and compute its units (the same as showtell-worker)')
    .helpOption(false)
    .allowUnknownOption()
    .argument('[options...]', 'passed on')
    .action(async (options: readonly string[]) => {
      const { runWorkerPackage } = await import('../run-worker-package.js');
      const { deviceOfWorker } = await import('../engine-device.js');
      process.exitCode = await runWorkerPackage('main.js', options, await deviceOfWorker(options));
    });
}
