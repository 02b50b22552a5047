import type { Command } from 'commander';

export function register(parent: Command): void {
  parent
    .command('list')
    .description("a run's checkpoints, oldest first")
    .argument('<run>', "the run's folder")
    .option('--json', 'print one JSON array')
    .addHelpText(
      'after',
      '\nExit codes: 0, 66 when there is no such run.\n\nExample:\n  showtell checkpoint list runs/demo',
    )
    .action(async (run: string, { json }: { json?: true }) => {
      const { checkpointsOf } = await import('../checkpoint-location.js');
      const rows = checkpointsOf(run)
        .list()
        .map(({ step, path, pinned, manifest }) => ({
          step,
          phase: manifest?.phase ?? null,
          sound: manifest !== null,
          pinned,
          path,
          bytes: manifest === null ? null : Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0),
          examples: manifest?.examples ?? null,
          metrics: manifest?.metrics ?? {},
          parameters: manifest?.parameters ?? null,
          savedAt: manifest?.savedAt ?? null,
        }));
      if (json === true) {
        process.stdout.write(`${JSON.stringify(rows)}\n`);
        return;
      }
      if (rows.length === 0) process.stdout.write('no checkpoints yet\n');
      for (const { step, phase, pinned, bytes, parameters, savedAt, sound, metrics } of rows)
        process.stdout.write(
          sound
            ? `${String(step).padStart(8)}  ${(phase ?? '').padEnd(12)}  ${((bytes ?? 0) / 2 ** 20).toFixed(1).padStart(8)} MiB  ${parameters?.sha256.slice(0, 12) ?? ''}  ${savedAt ?? ''}${metrics.bleu4 == null ? '' : `  BLEU-4 ${metrics.bleu4.toFixed(3)}`}${pinned ? '  pinned' : ''}\n`
            : `${String(step).padStart(8)}  damaged: its manifest cannot be read\n`,
        );
    });
}
