import { openData } from '@showtell/shared/bus/open-data.js';
import { writeReport } from '../evaluation/report.js';
import { renderSummary } from '../evaluation/report-summary.js';
import { reportOf } from '../evaluation/run-report.js';
import { RunFolder } from '../run-folder.js';
import { wantsColors } from './colors.js';

/** Writes the run's report beside it, and its summary to the terminal. */
export async function finishWithReport(run: string, quiet: boolean): Promise<void> {
  const folder = new RunFolder(run);
  const { data: place } = folder.job();
  const dataset = await openData(place.directory ?? '', place);
  const data = await reportOf(folder, run, dataset);
  const file = folder.at('report.html');
  await writeReport(file, data);
  if (quiet) return;
  const color = wantsColors(process.stdout);
  process.stdout.write(renderSummary(data, { color, width: Math.min(process.stdout.columns || 100, 120) }));
  process.stdout.write(`\nreport: ${file}\n`);
}
