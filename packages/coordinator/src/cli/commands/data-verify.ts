import type { Command } from 'commander';

/** What `data verify` exits with when a record is bad: EX_DATAERR. */
const BAD_DATA = 65;

/** `showtell data verify`. */
export function register(parent: Command): void {
  parent
    .command('verify')
    .description('check every record of a data folder against its index')
    .argument('<dir>', 'data folder')
    .option('--decode', 'parse every record and decode every picture too')
    .option('--json', 'print the result as one JSON line')
    .addHelpText('after', '\nExit codes: 0 all are sound, 65 one is bad, 66 there is no such folder.')
    .action(async (directory: string, flags: { decode?: true; json?: true }) => {
      const { verifyFolder } = await import('../../data/verify-folder.js');
      const { terminalProgress } = await import('../terminal-progress.js');
      const { records, faults } = await verifyFolder(directory, flags.decode === true, terminalProgress());
      if (flags.json === true) {
        process.stdout.write(`${JSON.stringify({ directory, records, faults })}\n`);
      } else {
        for (const { split, shard, offset, detail } of faults) {
          process.stdout.write(`${split} shard ${shard} byte ${offset}: ${detail}\n`);
        }
        const verdict = faults.length === 0 ? 'all are sound' : `${faults.length} are bad`;
        process.stdout.write(`${records} records checked, ${verdict}\n`);
      }
      if (faults.length > 0) process.exitCode = BAD_DATA;
    });
}
