import { ShowtellError } from '@showtell/shared/errors.js';
import { parseWorkerOptions, workerHelp } from './options.js';
import { runWorker } from './run-worker.js';

/** `showtell-worker`. */
async function main(): Promise<number> {
  const options = parseWorkerOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(workerHelp);
    return 0;
  }
  return runWorker(options);
}

main().then(
  // Sockets of a coordinator that is gone may linger; all that matters has been closed by name.
  (code) => process.exit(code),
  (error: unknown) => {
    if (error instanceof ShowtellError) process.stderr.write(`showtell-worker: ${error.message}\n${error.remedy}\n`);
    else
      process.stderr.write(
        `showtell-worker: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
    process.exit(error instanceof ShowtellError ? error.exitCode : 70);
  },
);
