const powers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };

/** No process of a run starts within less, and no machine has more: such a number is a slip. */
const least = 16 * 1024 ** 2;
const most = 1024 ** 5;

/** For who gave another one. */
export const memorySizes = 'such as 4G or 512M, from 16M to 1024T';

/** A process's memory in bytes of 512M, 1.5G, 4Gi or a plain number; a letter is a power of 1024. @returns null for what is no such size */
export function parseMemorySize(text: string): number | null {
  const [, number = '', letter = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B?)$/.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * 1024 ** (powers[letter] ?? 0));
  return number === '' || bytes < least || bytes > most ? null : bytes;
}

/** `1.50 GiB`, `512 MiB`. */
export function memorySize(bytes: number): string {
  return bytes >= 1024 ** 3 ? `${(bytes / 1024 ** 3).toFixed(2)} GiB` : `${Math.round(bytes / 1024 ** 2)} MiB`;
}
