import { CommanderError } from 'commander';
import { program } from './program.js';
import { reportFailure } from './report-failure.js';

/** Exit code of a command line that is wrong: EX_USAGE. */
const USAGE = 64;

// As after `| head`: what a shell says of a command that SIGPIPE ended.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(141);
  throw error;
});

try {
  await (await program(process.argv.slice(2))).parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? (error.exitCode === 0 ? 0 : USAGE) : reportFailure(error);
}
