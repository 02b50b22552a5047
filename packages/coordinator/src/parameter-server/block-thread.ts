import { parentPort, workerData } from 'node:worker_threads';
import type { BlockAnswer, BlockJob, BlockSetup } from './block-jobs.js';
import { BlockWork } from './block-work.js';

/** A thread that owns whole blocks of the parameters: it answers each job in turn. */
const work = new BlockWork(workerData as BlockSetup);
parentPort?.on('message', (job: BlockJob | 'close') => {
  if (job === 'close') {
    work.close();
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(answer(job));
});

function answer(job: BlockJob): BlockAnswer {
  try {
    return work.run(job);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : null;
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error), code };
  }
}
