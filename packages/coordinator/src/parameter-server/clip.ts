/** The global norm from the blocks' sums of squares, added in block order in float64. */
export function globalNorm(squares: Iterable<number>): number {
  let sum = 0;
  for (const square of squares) sum += square;
  return Math.sqrt(sum);
}

/** The factor of `tf.clip_by_global_norm`, clip ÷ max(norm, clip), as a float32. */
export function clipScale(norm: number, clip: number): number {
  return Math.fround(clip / Math.max(norm, clip));
}
