import { useTls } from '@showtell/shared/security/tls-folder.js';
import { endProcess } from './end-process.js';
import { parseWorkerOptions, workerHelp } from './options.js';
import { runWorker } from './run-worker.js';

/** `showtell-worker`. */
async function main(): Promise<number> {
  const options = parseWorkerOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(workerHelp);
    return 0;
  }
  useTls('worker', options.tls ?? undefined);
  return runWorker(options);
}

// Sockets of a coordinator that is gone may linger; all that matters has been closed by name.
endProcess('showtell-worker', main());
