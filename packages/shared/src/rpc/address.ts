/** Whether a text is HOST:PORT by which somebody can be reached. */
export function isAddress(text: string): boolean {
  const [, port = ''] = /^[^\s/]+:(\d{1,5})$/u.exec(text) ?? [];
  return Number(port) >= 1 && Number(port) <= 65_535;
}
