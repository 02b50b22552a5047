/**
 * jazzer.js' addon for Linux is built against glibc 2.38 and libstdc++ 13, of which it needs nothing but newer names of
 * old functions: `__isoc23_strtol` and `__isoc23_strtoul` (read "0b1" too) and a mark that iostream leaves. Its bytes
 * with the old names load from glibc 2.34 on, as Debian 12 and Ubuntu 22.04 have it.
 */
const newer = new Set(['GLIBC_2.38', 'GLIBCXX_3.4.32']);
const prefix = '__isoc23_';

/** Section types (elf.h). */
const SHT_DYNSYM = 11;
const SHT_GNU_VERNEED = 0x6ffffffe;
const SHT_GNU_VERSYM = 0x6fffffff;

/** @param original a 64-bit little-endian shared object */
export function forOlderGlibc(original: Buffer): Buffer {
  const bytes = Buffer.from(original);
  const sections = sectionsOf(bytes);
  const find = (type: number): Section | undefined => sections.find((section) => section.type === type);
  const [symbols, versions, needed] = [SHT_DYNSYM, SHT_GNU_VERSYM, SHT_GNU_VERNEED].map(find);
  if (symbols === undefined || versions === undefined || needed === undefined) return bytes;
  const strings = sections[symbols.link]!.offset;
  const text = (at: number): string => bytes.toString('latin1', strings + at, bytes.indexOf(0, strings + at));
  const found = weaken(bytes, needed, text);
  for (let i = 0; i < symbols.size / 24; i++) {
    const version = versions.offset + 2 * i;
    if (!found.newer.has(bytes.readUInt16LE(version))) continue;
    const symbol = symbols.offset + 24 * i;
    const name = bytes.readUInt32LE(symbol);
    if (text(name).startsWith(prefix)) {
      bytes.writeUInt32LE(name + prefix.length, symbol);
      bytes.writeUInt16LE(found.base, version);
    } else {
      // Weak, and of no version: nobody calls it.
      bytes[symbol + 4] = (bytes[symbol + 4]! & 0x0f) | 0x20;
      bytes.writeUInt16LE(1, version);
    }
  }
  return bytes;
}

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
}

function sectionsOf(bytes: Buffer): Section[] {
  const start = Number(bytes.readBigUInt64LE(40));
  const [size, count] = [bytes.readUInt16LE(58), bytes.readUInt16LE(60)];
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * size;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
    };
  });
}

/** Lets the newer versions be absent; the numbers that symbols have them by, and that of libc's oldest. */
function weaken(bytes: Buffer, needed: Section, text: (at: number) => string): { newer: Set<number>; base: number } {
  const result = { newer: new Set<number>(), base: 1 };
  for (let at = needed.offset, more = true; more;) {
    for (let entry = at + bytes.readUInt32LE(at + 8), left = bytes.readUInt16LE(at + 2); left > 0; left--) {
      const version = text(bytes.readUInt32LE(entry + 8));
      const number = bytes.readUInt16LE(entry + 6);
      if (newer.has(version)) {
        result.newer.add(number);
        bytes.writeUInt16LE(bytes.readUInt16LE(entry + 4) | 2, entry + 4);
      }
      if ((version === 'GLIBC_2.2.5' || version === 'GLIBC_2.17') && text(bytes.readUInt32LE(at + 4)) === 'libc.so.6')
        result.base = number;
      entry += bytes.readUInt32LE(entry + 12);
    }
    const next = bytes.readUInt32LE(at + 12);
    more = next !== 0;
    at += next;
  }
  return result;
}
