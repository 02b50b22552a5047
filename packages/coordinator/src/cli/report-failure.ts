import { ShowtellError } from '@showtell/shared/errors.js';
import { colorsFor } from './colors.js';

/** Tells a person on standard error what went wrong, where, and what to do. @returns the process's exit code */
export function reportFailure(error: unknown): number {
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

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
