import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Inputs of a target that are kept: `seed-…` by make-seeds.ts, `found-…` what once went wrong. */
export function corpusFolder(target: string): string {
  return join(fileURLToPath(new URL('corpus/', import.meta.url)), target);
}

export function corpusOf(target: string): { readonly name: string; readonly bytes: Buffer }[] {
  const folder = corpusFolder(target);
  mkdirSync(folder, { recursive: true });
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}
