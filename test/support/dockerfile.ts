import { readFileSync } from 'node:fs';
import { DockerfileParser } from 'dockerfile-ast';

/** One line of a Dockerfile, its continuations joined and its variables replaced. */
interface Instruction {
  readonly keyword: string;
  readonly text: string;
  readonly line: number;
}

export interface Stage {
  readonly name: string;
  /** Another stage's name, or an image's. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}

export interface Copy {
  /** The stage it copies from; null: the context. */
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly target: string;
}

/** The stages of a Dockerfile in order. Only what stands before the first FROM is replaced as a variable, as builders do it. */
export function stagesOf(file: string): Stage[] {
  const stages: { name: string; from: string; instructions: Instruction[] }[] = [];
  const defaults = new Map<string, string>();
  for (const instruction of DockerfileParser.parse(readFileSync(file, 'utf8')).getInstructions()) {
    const keyword = instruction.getKeyword();
    const raw = instruction.getTextContent().slice(keyword.length).trim().replace(/\\\n/g, '');
    const line = instruction.getRange().start.line + 1;
    if (keyword === 'FROM') {
      const text = raw.replace(/\$\{(\w+)\}/g, (_, name: string) => defaults.get(name) ?? '');
      const [from = '', , name = ''] = text.split(/\s+/);
      stages.push({ name, from, instructions: [] });
    } else if (stages.length === 0) {
      const [name = '', value = ''] = raw.split('=');
      defaults.set(name, value);
    } else stages.at(-1)?.instructions.push({ keyword, text: raw, line });
  }
  return stages;
}

/** The stages that a target is made of, each before those that need it. */
export function needed(stages: readonly Stage[], target: string): Stage[] {
  const stage = stages.find(({ name }) => name === target);
  if (stage === undefined) return [];
  const copied = stage.instructions.filter(({ keyword }) => keyword === 'COPY').map(({ text }) => copyOf(text).from);
  const before = [stage.from, ...copied].flatMap((name) => (name === null ? [] : needed(stages, name)));
  return [...new Set([...before, stage])];
}

export function copyOf(text: string): Copy {
  const words = text.split(/\s+/);
  const flag = words.find((word) => word.startsWith('--from='));
  const paths = words.filter((word) => !word.startsWith('--'));
  return { from: flag?.slice('--from='.length) ?? null, sources: paths.slice(0, -1), target: paths.at(-1) ?? '' };
}

/** The variables that `ENV NAME=value …` sets. */
export function variablesOf(text: string): Record<string, string> {
  return Object.fromEntries([...text.matchAll(/([A-Z_]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]));
}

/** Whether .dockerignore keeps a path out of the context: its last pattern that fits the path or a folder above has the word. */
export function isIgnored(path: string, ignoreFile: string): boolean {
  let ignored = false;
  for (const line of readFileSync(ignoreFile, 'utf8').split('\n')) {
    const pattern = line.replace(/^!/, '').trim();
    if (pattern === '' || pattern.startsWith('#')) continue;
    const expression = pattern
      .replace(/[.+^$()|[\]{}]/g, '\\$&')
      .replace(/\*\*\//g, '(?:.*/)?')
      .replace(/(?<![.)])\*/g, '[^/]*');
    if (new RegExp(`^${expression}(?:/|$)`).test(path)) ignored = !line.startsWith('!');
  }
  return ignored;
}
