/** 1500 → 1,500. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/gu, ',');
}

/** Three significant digits or so, for a person to read. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1000) return count(value);
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 1 || size === 0) return value.toFixed(2);
  return String(Number(value.toPrecision(3)));
}

/** 0.25 → 250 ms. */
export function seconds(value: number): string {
  if (value === 0) return '0 s';
  if (value < 0.001) return `${short(value * 1e6)} µs`;
  if (value < 1) return `${short(value * 1000)} ms`;
  return value < 120 ? `${short(value)} s` : duration(value);
}

/** 5,400 → 1 h 30 min. */
export function duration(value: number): string {
  const minutes = Math.round(value / 60);
  if (value < 60) return `${Math.round(value)} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB'];
  let [size, unit] = [value, 0];
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000;
  return `${unit === 0 ? size : short(size)} ${units[unit] ?? ''}`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

/** An ISO time as the reader's clock has it. */
export function clock(iso: string): string {
  const time = new Date(iso);
  return Number.isNaN(time.getTime())
    ? iso
    : time.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

export function three(value: number | null): string {
  return value === null ? '–' : value.toFixed(3);
}
