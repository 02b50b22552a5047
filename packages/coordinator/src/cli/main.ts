import { CommanderError } from 'commander';
import { program } from './program.js';
import { reportFailure } from './report-failure.js';

/** Exit code of a command line that is wrong: EX_USAGE. */
const USAGE = 64;

try {
  await program().parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? (error.exitCode === 0 ? 0 : USAGE) : reportFailure(error);
}
