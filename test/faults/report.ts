import { faultKinds, faultRules, type FaultKind } from './fault-kinds.js';
import type { SeedResult } from './run-seed.js';

/** How often a kind was drawn and hit something. */
export function countFaults(results: readonly Pick<SeedResult, 'done'>[]): ReadonlyMap<FaultKind, number> {
  const counts = new Map<FaultKind, number>();
  for (const { done } of results) for (const kind of done) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** A table for docs/reliability.md: each kind, how often it was done, and in how many runs something did not hold. */
export function tableOf(results: readonly SeedResult[]): string {
  const counts = countFaults(results);
  const failed = results.filter(({ complaints }) => complaints.length > 0);
  const rows = faultKinds.map((kind) => [kind, faultRules[kind].means, String(counts.get(kind) ?? 0)] as const);
  const head = ['fault', 'what', 'times'] as const;
  const width = ([0, 1, 2] as const).map((i) => Math.max(...[head, ...rows].map((row) => row[i].length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(width[i] ?? 0)).join(' | ')} |`;
  const total = [...counts.values()].reduce((a, b) => a + b, 0);
  const seeds = results.reduce((sum, { schedule }) => sum + schedule.schedules, 0);
  return [
    `${seeds} schedules in ${results.length} runs, ${total} faults that hit something; in ${failed.length} runs something did not hold.`,
    '',
    line(head),
    line(width.map((n) => '-'.repeat(n))),
    ...rows.map(line),
    '',
  ].join('\n');
}
