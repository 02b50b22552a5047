/**
 * The arithmetic of an update on runs of float32 values. Every operation is rounded to float32 on its own (no fused
 * multiply-add), except for norms, which are float64; so another implementation of these loops gets the same bits.
 * `n` is the number of elements; arrays may be longer.
 */

/** Whether all values are finite. */
export function allFinite(values: Float32Array, n: number): boolean {
  let probe = 0;
  for (let i = 0; i < n; i++) probe += (values[i] as number) * 0;
  return probe === 0;
}

/** values ← values · weight */
export function weigh(values: Float32Array, weight: number, n: number): void {
  const w = Math.fround(weight);
  for (let i = 0; i < n; i++) values[i] = (values[i] as number) * w;
}

/** sum ← sum + values */
export function add(sum: Float32Array, values: Float32Array, n: number): void {
  for (let i = 0; i < n; i++) sum[i] = (sum[i] as number) + (values[i] as number);
}

/** sum ← sum ÷ weight */
export function divide(sum: Float32Array, weight: number, n: number): void {
  const w = Math.fround(weight);
  for (let i = 0; i < n; i++) sum[i] = (sum[i] as number) / w;
}

/** gradient ← gradient + l2 · parameters, the product rounded first */
export function addDecay(gradient: Float32Array, parameters: Float32Array, l2: number, n: number): void {
  const rate = Math.fround(l2);
  for (let i = 0; i < n; i++) gradient[i] = (gradient[i] as number) + Math.fround(rate * (parameters[i] as number));
}

/**
 * The sum of squares in float64: four sums, of the elements whose index leaves 0, 1, 2 and 3 when divided by 4, each in
 * order; then (s0 + s1) + (s2 + s3).
 */
export function sumOfSquares(values: Float32Array, n: number): number {
  const sums = [0, 0, 0, 0];
  let [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = sums;
  const whole = n - (n % 4);
  for (let i = 0; i < whole; i += 4) {
    const a = values[i] as number;
    const b = values[i + 1] as number;
    const c = values[i + 2] as number;
    const d = values[i + 3] as number;
    s0 += a * a;
    s1 += b * b;
    s2 += c * c;
    s3 += d * d;
  }
  if (whole < n) s0 += (values[whole] as number) * (values[whole] as number);
  if (whole + 1 < n) s1 += (values[whole + 1] as number) * (values[whole + 1] as number);
  if (whole + 2 < n) s2 += (values[whole + 2] as number) * (values[whole + 2] as number);
  return s0 + s1 + (s2 + s3);
}

/** parameters ← parameters − rate · (scale · gradient) */
export function descend(
  parameters: Float32Array,
  gradient: Float32Array,
  scale: number,
  rate: number,
  n: number,
): void {
  const s = Math.fround(scale);
  const r = Math.fround(rate);
  for (let i = 0; i < n; i++)
    parameters[i] = (parameters[i] as number) - Math.fround(r * Math.fround(s * (gradient[i] as number)));
}

/** As TensorFlow's MomentumOptimizer: velocity ← momentum · velocity + scale · gradient; parameters ← parameters − rate · velocity */
export function descendWithMomentum(
  parameters: Float32Array,
  velocity: Float32Array,
  gradient: Float32Array,
  scale: number,
  rate: number,
  momentum: number,
  n: number,
): void {
  const s = Math.fround(scale);
  const r = Math.fround(rate);
  const m = Math.fround(momentum);
  for (let i = 0; i < n; i++) {
    velocity[i] = Math.fround(m * (velocity[i] as number)) + Math.fround(s * (gradient[i] as number));
    parameters[i] = (parameters[i] as number) - Math.fround(r * (velocity[i] as number));
  }
}

/** moving ← moving − (moving − batch) · (1 − decay), as TensorFlow's assign_moving_average */
export function moveAverages(moving: Float32Array, batch: Float32Array, decay: number, n: number): void {
  const share = Math.fround(1 - decay);
  for (let i = 0; i < n; i++)
    moving[i] = (moving[i] as number) - Math.fround(Math.fround((moving[i] as number) - (batch[i] as number)) * share);
}
