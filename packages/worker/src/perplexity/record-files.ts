import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { indexFile } from '@showtell/shared/data/shard.js';

/**
 * The TFRecord files that patterns name, in order and each once: paths, or paths with `*`, `?` and `[…]`, several parted
 * by commas as im2txt takes them. The indexes that showtell keeps beside shards are left out.
 *
 * @throws ShowtellError `perplexity/no-records` when a pattern names no file
 */
export function recordFiles(patterns: readonly string[]): string[] {
  const files = new Set<string>();
  for (const pattern of patterns) {
    const found = existsSync(pattern) ? [pattern] : pattern.split(',').flatMap((part) => matches(part.trim()));
    const records = found.filter((file) => statSync(file).isFile());
    if (records.length === 0)
      throw new ShowtellError('perplexity/no-records', { detail: `No file matches ${pattern}.` });
    for (const file of records) files.add(file);
  }
  const indexes = new Set([...files].map(indexFile));
  return [...files].filter((file) => !indexes.has(file));
}

/** Paths that match, name by name from the root or from here. */
function matches(pattern: string): string[] {
  const names = pattern.split('/').filter((name) => name !== '');
  let places = [pattern.startsWith('/') ? '/' : ''];
  for (const name of names)
    places = places.flatMap((place) => {
      if (!/[*?[]/.test(name)) return existsSync(join(place, name)) ? [join(place, name)] : [];
      const fits = nameMatcher(name);
      return namesIn(place)
        .filter((entry) => fits.test(entry) && (name.startsWith('.') || !entry.startsWith('.')))
        .map((entry) => join(place, entry));
    });
  return names.length === 0 ? [] : places;
}

function namesIn(place: string): string[] {
  const folder = place === '' ? '.' : place;
  return statSync(folder).isDirectory() ? readdirSync(folder).sort() : [];
}

/** As a shell: `*` any letters, `?` one, `[a-c]` one of these, `[!a-c]` one of the others. */
function nameMatcher(name: string): RegExp {
  const parts = name.match(/\[!?[^\]]+\]|[^[]|\[/g) ?? [];
  const source = parts.map((part) => {
    if (part === '*') return '.*';
    if (part === '?') return '.';
    if (part.length > 1) return part.replace(/\\/g, '\\\\').replace(/^\[!/, '[^');
    return part.replace(/[.+^${}()|[\]\\]/, '\\$&');
  });
  return new RegExp(`^${source.join('')}$`, 's');
}
