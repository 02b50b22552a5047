/** `42s`, `3:07`, `2h 05m`, `4d 03h`. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)}`;
  const hours = Math.floor(whole / 3600);
  if (hours < 48) return `${hours}h ${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}
