import type { Command } from 'commander';

export function register(parent: Command): void {
  parent
    .command('show')
    .description('show what a checkpoint holds: step, phase, hashes, scores, the job')
    .argument('<checkpoint>', "RUN for its newest, RUN@STEP, RUN@best, or the checkpoint's folder")
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Two runs of one job gave the same parameters when their parameters' sha256 are equal; docs/cli.md says how it is made.

Exit codes: 0, 65 the manifest is damaged, 66 there is no such checkpoint.

Examples:
  showtell checkpoint show runs/demo
  showtell checkpoint show runs/demo@300 --json`,
    )
    .action(async (location: string, { json }: { json?: true }) => {
      const { readManifest } = await import('../../checkpoints/read-checkpoint.js');
      const { locateCheckpoint } = await import('../checkpoint-location.js');
      const path = locateCheckpoint(location);
      const manifest = readManifest(path);
      if (json === true) {
        process.stdout.write(`${JSON.stringify({ path, ...manifest })}\n`);
        return;
      }
      const {
        step,
        phase,
        examples,
        parameters,
        optimizer,
        lineage,
        generation,
        metrics,
        savedAt,
        job,
        missing = [],
      } = manifest;
      const rows: [string, string][] = [
        ['path', path],
        ['step', `${step}, ${phase}`],
        ['examples', `${examples} counted`],
        ...(missing.length === 0 ? [] : [['open', `units ${missing.join(', ')} are applied next`] as [string, string]]),
        ['saved', `${savedAt}, generation ${generation}, lineage ${lineage}`],
        ['parameters', `${parameters.count} values, ${parameters.bytes} bytes, sha256 ${parameters.sha256}`],
        ['optimizer', optimizer.bytes === 0 ? 'no state' : `${optimizer.bytes} bytes, sha256 ${optimizer.sha256}`],
        ['phases', manifest.phaseHistory.map(({ phase: name, fromStep }) => `${name} from ${fromStep}`).join(', ')],
        ['data', manifest.datasetDigest],
        ['vocabulary', manifest.vocabularySha256],
        ...Object.entries(metrics).map(([name, value]): [string, string] => [name, String(value ?? '–')]),
        ['job', JSON.stringify(job, null, 2)],
      ];
      for (const [name, value] of rows) process.stdout.write(`${name.padEnd(12)} ${value}\n`);
    });
}
