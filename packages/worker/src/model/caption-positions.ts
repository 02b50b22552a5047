/**
 * Positions t · B + b (time first) whose logits a step computes: first those that count, in rising order, then others,
 * also rising, until their number is a multiple of `multiple` or all are in. The logits are the decoder's largest
 * product, so padding is left out of it; a round number keeps the graphs few.
 * @param mask [B, T]: 1 for a word that counts, 0 for padding
 */
export function captionPositions(mask: Float32Array, B: number, T: number, multiple: number): Int32Array {
  const counted: number[] = [];
  const padding: number[] = [];
  for (let t = 0; t < T; t++) for (let b = 0; b < B; b++) (mask[b * T + t] === 0 ? padding : counted).push(t * B + b);
  const P = Math.min(Math.ceil(counted.length / multiple) * multiple, B * T);
  return Int32Array.from([...counted, ...padding.slice(0, P - counted.length)]);
}
