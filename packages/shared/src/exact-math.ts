/**
 * Logarithm, exponential and power from exactly rounded operations alone (+ − × ÷ and integers). V8's own differ in
 * their last bit between versions, and what a run decides must not.
 */
const SQRT_2 = 1.4142135623730951;
const SQRT_HALF = 0.7071067811865476;
const LN_2 = 0.6931471805599453;
/** ln 2 in two parts, the first with its low bits zero, so that small multiples of it are exact (as in fdlibm). */
const LN_2_HIGH = 0.6931471803691238;
const LN_2_LOW = 1.9082149292705877e-10;

/** The natural logarithm of a finite x > 0, to about 1e-15: x = m · 2^e, log m = 2 artanh((m − 1) / (m + 1)). */
export function exactLog(x: number): number {
  if (!(x > 0 && x < Infinity)) throw new RangeError(`no logarithm of ${x}`);
  let m = x;
  let e = 0;
  for (; m < SQRT_HALF; e--) m *= 2;
  for (; m >= SQRT_2; e++) m /= 2;
  const s = (m - 1) / (m + 1);
  const z = s * s;
  let series = 0;
  for (let n = 19; n >= 1; n -= 2) series = series * z + 1 / n;
  return e * LN_2 + 2 * s * series;
}

/** e^x for |x| ≤ 700, to about 1e-15: x = k · ln 2 + r, a power series in r. */
export function exactExp(x: number): number {
  if (!(x >= -700 && x <= 700)) throw new RangeError(`e to the power of ${x} is out of range`);
  const k = Math.round(x / LN_2);
  const r = x - k * LN_2_HIGH - k * LN_2_LOW;
  let value = 1;
  for (let n = 14; n >= 1; n--) value = 1 + (value * r) / n;
  for (let i = k; i > 0; i--) value *= 2;
  for (let i = k; i < 0; i++) value /= 2;
  return value;
}

/** base^exponent for a base > 0. */
export function exactPow(base: number, exponent: number): number {
  return exponent === 0 ? 1 : exactExp(exponent * exactLog(base));
}
