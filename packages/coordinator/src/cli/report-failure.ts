import { ShowtellError } from '@showtell/shared/errors.js';
import { colorsFor } from './colors.js';

/** What a disk says that is full, over its quota, read-only or broken: nothing that showtell could have done otherwise. */
const diskFailures = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'];

/** Tells a person on standard error what went wrong, where, and what to do. @returns the process's exit code */
export function reportFailure(thrown: unknown): number {
  const error = diskFailure(thrown) ?? thrown;
  const colors = colorsFor(process.stderr);
  if (error instanceof ShowtellError) {
    process.stderr.write(`${colors.red('error')} ${error.message}\n  ${colors.cyan('→')} ${error.remedy}\n`);
    if (process.env['SHOWTELL_LOG'] === 'debug' && error.cause !== undefined)
      process.stderr.write(`${describe(error.cause)}\n`);
    return error.exitCode;
  }
  process.stderr.write(`${colors.red('error')} ${describe(error)}\n`);
  process.stderr.write(`  ${colors.cyan('→')} This is a fault of showtell; please report it with the lines above.\n`);
  return 70;
}

/** A system's error about a disk in the words of the table; null for any other. */
function diskFailure(error: unknown): ShowtellError | null {
  const { code = '', path, message } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  if (error instanceof ShowtellError || !diskFailures.includes(code)) return null;
  // Once a file is open the system names it no more.
  const facts = { file: path ?? 'A file of the run', detail: message ?? code };
  return new ShowtellError('file/unwritable', facts, { cause: error });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
