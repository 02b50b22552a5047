import { useTls } from '@showtell/shared/security/tls-folder.js';
import { toldToLeave } from '@showtell/shared/service/worker-exit.js';
import { endProcess, failureOf, tellFailure } from './end-process.js';
import { wasInVain } from './find-coordinator.js';
import { ownId } from './own-id.js';
import { parseWorkerOptions, workerHelp } from './options.js';
import { runWorker } from './run-worker.js';

const program = 'showtell-worker';

/** `showtell-worker`. */
async function main(): Promise<number> {
  const options = parseWorkerOptions(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(workerHelp);
    return 0;
  }
  const certified = useTls('worker', options.tls ?? undefined);
  const id = ownId(options.id, certified);
  try {
    return await runWorker({ ...options, id });
  } catch (thrown) {
    const error = failureOf(thrown, program);
    if (!options.untilComplete || !wasInVain(error)) throw error;
    tellFailure(program, error);
    return toldToLeave;
  }
}

// Sockets of a coordinator that is gone may linger; all that matters has been closed by name.
endProcess(program, main());
