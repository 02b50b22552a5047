const powers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };

/** Bytes of 512M, 1.5G, 4Gi or a plain number; a letter is a power of 1024. @returns null for what is no such size */
export function parseMemorySize(text: string): number | null {
  const [, number = '', letter = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B?)$/.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** (powers[letter] ?? 0));
  return number === '' || bytes === 0 ? null : bytes;
}

/** `1.50 GiB`, `512 MiB`. */
export function memorySize(bytes: number): string {
  return bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(2)} GiB` : `${Math.round(bytes / 1024 ** 2)} MiB`;
}
