import { RunFolder } from '../../run-folder.js';
import type { RunStatus } from '../../status.js';
import { colorsFor } from '../colors.js';
import { statusOf } from '../run-status.js';

/** `showtell status`. */
export async function printStatus(run: string, json: boolean): Promise<void> {
  const status = await statusOf(new RunFolder(run));
  process.stdout.write(json ? `${JSON.stringify(status)}\n` : describe(status));
}

function describe(status: RunStatus): string {
  const colors = colorsFor(process.stdout);
  const row = (name: string, value: string): string => `${colors.dim(name.padEnd(14))}${value}\n`;
  const { evaluation, workers } = status;
  const scores = evaluation?.scores.captions;
  const lines = [
    row('run', `${status.run}, generation ${status.generation}`),
    row('state', status.state === 'training' ? colors.green(status.state) : colors.yellow(status.state)),
    row('step', `${status.step} of ${status.totalSteps}, ${status.phase}`),
    row('loss', status.loss?.toFixed(4) ?? '–'),
  ];
  if (status.imagesPerSecond !== null) lines.push(row('speed', `${status.imagesPerSecond.toFixed(1)} images/s`));
  if (status.etaSeconds !== null) lines.push(row('left', duration(status.etaSeconds)));
  if (evaluation !== null) {
    const bleu = scores === null || scores === undefined ? '' : `, BLEU-4 ${scores.bleu[3].toFixed(3)}`;
    lines.push(
      row('evaluated', `step ${evaluation.step}: perplexity ${evaluation.scores.perplexity.toFixed(2)}${bleu}`),
    );
  }
  lines.push(row('checkpoint', status.checkpointStep === null ? 'none yet' : `step ${status.checkpointStep}`));
  for (const worker of workers) {
    const memory = worker.residentBytes === null ? '' : `, ${(worker.residentBytes / 2 ** 20).toFixed(0)} MiB`;
    lines.push(
      row(
        worker.id,
        `pid ${worker.pid} on ${worker.host}, ${worker.units} units done, holds ${worker.holding}${memory}`,
      ),
    );
  }
  if (['training', 'paused'].includes(status.state) && workers.length === 0)
    lines.push(row('workers', colors.yellow('none')));
  return lines.join('');
}

function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return `${Math.round(seconds)} s`;
  return minutes < 120 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
