import { ShowtellError } from '@showtell/shared/errors.js';
import { areThreadsStuck } from './end-thread.js';

/** Ends the process by what its main function came to: its exit code, or the failure's, told on standard error. */
export function endProcess(program: string, main: Promise<number>): void {
  main.then(end, (thrown: unknown) => {
    const error = failureOf(thrown, program);
    tellFailure(program, error);
    end(error instanceof ShowtellError ? error.exitCode : 70);
  });
}

/** On standard error. */
export function tellFailure(program: string, error: unknown): void {
  const text =
    error instanceof ShowtellError
      ? `${error.message}\n${error.remedy}`
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`${program}: ${text}\n`);
}

function end(code: number): void {
  // process.exit waits for a thread within a native call, for ever if that does not return.
  if (areThreadsStuck()) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}

/** What went wrong first, whatever else did while things were closed; memory that JavaScript could not get as what it is. */
export function failureOf(thrown: unknown, call: string): unknown {
  let error = thrown;
  while (error instanceof Error && error.name === 'SuppressedError' && 'suppressed' in error) error = error.suppressed;
  if (error instanceof Error && !(error instanceof ShowtellError) && isOutOfMemory(error))
    return new ShowtellError('engine/out-of-memory', { call, detail: error.message }, { cause: error });
  return error;
}

/** V8's, Node's and WebAssembly's words for it. */
function isOutOfMemory({ message }: Error): boolean {
  return /allocation failed|failed to allocate memory|could not allocate memory|out of memory/i.test(message);
}
