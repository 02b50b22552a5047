import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const page = readFileSync('docs/walk.md', 'utf8');

/** The table's files, in order. */
const files = [...page.matchAll(/^\|\s*\d\s*\|\s*`([^`]+)`/gm)].map(([, file = '']) => file);

/** What the prose names: `**4. `unit-queue.ts`: `A`, `B`.**` */
const paragraphs = [...page.matchAll(/^\*\*(\d)\. `([^`]+)`: (.+?)\.\*\*/gm)].map(
  ([, number = '', name = '', exported = '']) => ({
    number: Number(number),
    name,
    exported: [...exported.matchAll(/`(\w+)`/g)].map(([, symbol = '']) => symbol),
  }),
);

describe('docs/walk.md', () => {
  it('goes through nine files, each told of in its place', () => {
    expect(files).toHaveLength(9);
    expect(paragraphs.map(({ number, name }) => [number, name])).toEqual(
      files.map((file, i) => [i + 1, file.split('/').at(-1)]),
    );
  });

  it.each(paragraphs)('$number. $name is there and exports what is named', ({ number, exported }) => {
    const file = files[number - 1] ?? '';
    expect(existsSync(file), file).toBe(true);
    const text = readFileSync(file, 'utf8');
    expect(exported.length).toBeGreaterThan(0);
    for (const symbol of exported)
      expect(text).toMatch(new RegExp(`^export (?:async )?(?:function\\*?|class|const) ${symbol}\\b`, 'm'));
  });

  it('links and paths in docs/ and the README lead somewhere', () => {
    for (const source of [
      'README.md',
      'docs/walk.md',
      'docs/design.md',
      'docs/cli.md',
      'docs/observability.md',
      'docs/runbooks.md',
    ]) {
      const text = readFileSync(source, 'utf8');
      for (const [, target = ''] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const place = source.startsWith('docs/') ? `docs/${target}` : target;
        expect(existsSync(place), `${source} links to ${target}`).toBe(true);
      }
      for (const [path] of text.matchAll(/(?<=`)(?:packages|test|tools|proto|examples)\/[\w./{},-]+\.\w+(?=`)/g))
        if (!/[{}*]/.test(path)) expect(existsSync(path), `${source} names ${path}`).toBe(true);
    }
  });
});
