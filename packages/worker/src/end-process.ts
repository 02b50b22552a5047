import { ShowtellError } from '@showtell/shared/errors.js';

/** Ends the process by what its main function came to: its exit code, or the failure's, told on standard error. */
export function endProcess(command: string, main: Promise<number>): void {
  main.then(
    (code) => process.exit(code),
    (error: unknown) => {
      if (error instanceof ShowtellError)
        process.stderr.write(`showtell ${command}: ${error.message}\n${error.remedy}\n`);
      else {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        process.stderr.write(`showtell ${command}: ${text}\n`);
      }
      process.exit(error instanceof ShowtellError ? error.exitCode : 70);
    },
  );
}
