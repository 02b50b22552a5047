import { type HistoryPart, type PartName, partNames, type StepRow } from './payload.js';

type Values = (number | null)[];

/** What plots of steps draw: columns, as thin as they were fetched. */
export interface StepColumns {
  readonly steps: number[];
  readonly loss: { mean: Values; low: Values; high: Values };
  readonly seconds: { mean: Values; low: Values; high: Values };
  readonly images: { mean: Values; low: Values; high: Values };
  readonly parts: Record<PartName, Values>;
}

/** Columns of a part of the history, to which new steps may be added. */
export function columnsOf({ steps, loss, seconds, images, parts }: HistoryPart): StepColumns {
  const band = (one: HistoryPart['loss']) => ({ mean: [...one.mean], low: [...one.low], high: [...one.high] });
  const copied = Object.fromEntries(partNames.map((name) => [name, [...parts[name]]]));
  return {
    steps: [...steps],
    loss: band(loss),
    seconds: band(seconds),
    images: band(images),
    parts: copied as StepColumns['parts'],
  };
}

export function append(columns: StepColumns, rows: readonly StepRow[]): void {
  for (const [step, loss, seconds, images, ...parts] of rows) {
    columns.steps.push(step);
    for (const [band, value] of [
      [columns.loss, loss],
      [columns.seconds, seconds],
      [columns.images, images],
    ] as const)
      for (const of of [band.mean, band.low, band.high]) of.push(value);
    for (const [i, name] of partNames.entries()) columns.parts[name].push(parts[i] ?? null);
  }
}

/**
 * The parts of the steps in a range, as bars that stand on one another: step in the middle, then for each part in its
 * order the height up to its top.
 */
export function stackedParts(
  { steps, parts }: StepColumns,
  range: { readonly min: number; readonly max: number },
  mostBars: number,
): [number[], ...Values[]] {
  const inside = steps.flatMap((step, i) => (step >= range.min && step <= range.max ? [i] : []));
  const size = Math.max(1, Math.ceil(inside.length / mostBars));
  const middles: number[] = [];
  const tops: Values[] = partNames.map(() => []);
  for (let at = 0; at < inside.length; at += size) {
    const group = inside.slice(at, at + size);
    const [first = 0, last = 0] = [group[0], group.at(-1)];
    middles.push(((steps[first] ?? 0) + (steps[last] ?? 0)) / 2);
    let height: number | null = 0;
    for (const [i, name] of partNames.entries()) {
      const values = group.map((index) => parts[name][index] ?? null).filter((value) => value !== null);
      const mean = values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
      height = mean === null || height === null ? null : height + mean;
      tops[i]?.push(height);
    }
  }
  return [middles, ...tops];
}
