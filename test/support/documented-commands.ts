import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Programs by which a line of code in the documentation is known for a command, where its block does not say that it is one. */
const programs =
  /^(?:\$ )?(?:[A-Z_]+=(?:\$\([^)]*\)|\S+)\s+)*(?:npx|npm|showtell|node|kubectl|docker|curl|apt-get|prometheus|promtool|python3|tail|cat|grafana)\b/;

/** Forms of a command with parts that may be left out are no command. */
const isForm = (command: string): boolean => /\[--|\[@/.test(command);

export const documentedPages = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/**
 * The commands on a page: every line of a block of `sh`, and of plain fences and indented blocks those that name a program; not of
 * tables of help (`text`). One line each, what follows them as a remark left out, the lines of a here-document kept.
 */
export function commandsOn(page: string): string[] {
  const commands: string[] = [];
  for (const { language, text } of codeBlocks(readFileSync(page, 'utf8')))
    for (const line of logicalLines(text).map((each) => each.trim()))
      if ((language === 'sh' || programs.test(line)) && !isForm(line) && !/^(?:#|$)/.test(line))
        commands.push(withoutRemark(line));
  return commands;
}

interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

function codeBlocks(page: string): CodeBlock[] {
  const fenced = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .map(([, language = '', text = '']) => ({ language, text }))
    .filter(({ language }) => ['', 'sh'].includes(language));
  const plain = page.replace(/^```.*?^```$/gms, '');
  const indented = [...plain.matchAll(/^\n((?: {4}.*\n|\n(?= {4}))+)/gm)].map(([, block = '']) => ({
    language: '',
    text: block.replace(/^ {4}/gm, ''),
  }));
  return [...fenced, ...indented];
}

function logicalLines(block: string): string[] {
  const joined = block.replace(/\\\n\s*/g, '');
  return [...joined.matchAll(/^.*<<'EOF'\n(?:.*\n)*?EOF$|^.+$/gm)].map(([line]) => line);
}

const withoutRemark = (line: string): string =>
  line.includes('\n')
    ? line
    : line
        .replace(/^\$ /, '')
        .replace(/(?:\s+# | {2,}).*$/, '')
        .trim();

/** A folder of shims, to go first on PATH: `showtell`, and an `npx` that runs what this checkout has, as it is built. */
export function showtellOnPath(folder: string): string {
  mkdirSync(folder);
  const shim = (name: string, text: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  const door = resolve('packages/coordinator/bin/showtell.js');
  shim('showtell', `exec "${process.execPath}" "${door}" "$@"`);
  shim('npx', 'exec "$@"');
  return `${folder}:${process.env['PATH'] ?? ''}`;
}
