/** A stretch of steps that plots show. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** A closer look has no use. */
const fewest = 4;

/** The range `factor` times as wide around the same middle, within `all`. */
export function zoomed({ min, max }: Range, factor: number, all: Range): Range {
  const middle = (min + max) / 2;
  const half = Math.max(fewest, (max - min) * factor) / 2;
  return within({ min: middle - half, max: middle + half }, all);
}

/** The range moved by a share of its width, within `all`. */
export function moved({ min, max }: Range, share: number, all: Range): Range {
  const by = (max - min) * share;
  return within({ min: min + by, max: max + by }, all);
}

/** As much of a range as there is, its width kept as far as that goes. */
export function within({ min, max }: Range, all: Range): Range {
  const width = Math.min(Math.max(fewest, max - min), Math.max(fewest, all.max - all.min));
  const low = Math.max(all.min, Math.min(min, all.max - width));
  return { min: low, max: low + width };
}

export function isWhole(range: Range, all: Range): boolean {
  return range.min <= all.min && range.max >= all.max;
}
