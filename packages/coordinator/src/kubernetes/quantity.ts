const units: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A quantity as Kubernetes writes it, `20Gi`, as a number. */
export function valueOf(quantity: string): number {
  const [, number = '0', unit = ''] = /^([0-9.]+)([A-Za-z]*)$/.exec(quantity) ?? [];
  return Number(number) * (units[unit] ?? 1);
}

const pattern = /^[0-9]+(\.[0-9]+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/;

/** Whether both are the same amount: the API server writes `1000m` and 1 as `1`, and `1024Mi` as `1Gi`. */
export function isSameQuantity(one: unknown, other: unknown): boolean {
  const [a, b] = [String(one), String(other)];
  if (!pattern.test(a) || !pattern.test(b)) return false;
  const [x, y] = [valueOf(a), valueOf(b)];
  return Math.abs(x - y) <= 1e-9 * Math.max(x, y);
}
