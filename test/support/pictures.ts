import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import sharp, { type Sharp } from 'sharp';

/** A drawn scene of 120 × 80 in which no two corners are alike; `i` moves the disc. */
export function scene(i = 0, size: { width: number; height: number } = { width: 120, height: 80 }): Sharp {
  const { width, height } = size;
  const svg = `<svg width="${width}" height="${height}" viewBox="0 0 120 80" preserveAspectRatio="none">
    <rect width="120" height="80" fill="#dddddd"/><rect width="40" height="30" fill="#2040c0"/>
    <rect x="80" y="50" width="40" height="30" fill="#20a040"/><circle cx="${40 + 7 * i}" cy="45" r="${14 + i}" fill="#d02020"/></svg>`;
  return sharp(Buffer.from(svg)).removeAlpha();
}

/** Writes files, making their folders. */
export function writeFiles(files: Readonly<Record<string, Uint8Array | string>>): void {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
}

/** A PNG whose header claims a size that its data does not have: what a bomb looks like before it is decoded. */
export async function claiming(width: number, height: number): Promise<Buffer> {
  const png = await scene().png().toBuffer();
  png.writeUInt32BE(width, 16);
  png.writeUInt32BE(height, 20);
  return png;
}
