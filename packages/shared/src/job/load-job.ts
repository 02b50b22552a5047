import { readFile } from 'node:fs/promises';
import { Lexer, parse, parseDocument, Parser } from 'yaml';
import type { z } from 'zod';
import { ShowtellError } from '../errors.js';
import { quoted } from '../quoted.js';
import { jobSchema, type Job } from './job.js';
import { presets } from './presets.js';

/** Far beyond any job: the parser's time grows faster than the text. */
const mostCharacters = 1_048_576;
const deepest = 100;

export type Tree = Record<string, unknown>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `over` on top of `base`: objects are merged field by field, everything else is replaced. */
export function merge(base: Tree, over: Tree): Tree {
  const merged: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? merge(below, value) : value;
  }
  return merged;
}

/** `a.b.c=value` as a tree; the value is YAML, so numbers, booleans, null and lists are what they look like. */
function parseOverride(override: string): Tree {
  const equals = override.indexOf('=');
  const path = override.slice(0, Math.max(equals, 0)).split('.');
  if (equals < 1 || path.some((part) => part === '')) throw new ShowtellError('job/bad-override', { override });
  let value: unknown;
  const text = override.slice(equals + 1);
  if (isDeeperThan(deepest, text)) throw new ShowtellError('job/bad-override', { override });
  try {
    value = parse(text);
  } catch (cause) {
    throw new ShowtellError('job/bad-override', { override }, { cause });
  }
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Tree;
}

/** Takes `preset:` off the top of a job and puts the preset below the rest. */
function withPreset(tree: Tree, source: string): Tree {
  const { preset, ...own } = tree;
  if (preset === undefined) return own;
  if (typeof preset !== 'string' || !Object.hasOwn(presets, preset))
    throw new ShowtellError('job/invalid', {
      source,
      problems: [`preset: ${quoted(preset)} is not one of ${Object.keys(presets).join(', ')}`],
    });
  return merge(presets[preset as keyof typeof presets], own);
}

/**
 * A checked job from plain values.
 *
 * @param source names the origin in messages.
 * @throws ShowtellError `job/invalid` with every bad field's path and what is wrong with it.
 */
export function parseJob(content: unknown, overrides: readonly string[] = [], source = 'the job'): Job {
  if (content !== null && !isTree(content))
    throw new ShowtellError('job/invalid', { source, problems: ['it is not a mapping of fields'] });
  const tree = overrides.map(parseOverride).reduce(merge, content ?? {});
  const result = jobSchema.safeParse(withPreset(tree, source));
  if (result.success) return result.data;
  throw new ShowtellError('job/invalid', { source, problems: problemsOf(result.error) });
}

/** A line for each bad field: its path, and what is wrong with it. */
export function problemsOf({ issues }: z.ZodError): string[] {
  return issues.map((issue) => {
    const path = issue.path.join('.');
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => `${path === '' ? key : `${path}.${key}`}: no such field`).join('; ');
    return `${path}: ${issue.message}`;
  });
}

/**
 * Reads a job file.
 *
 * @param overrides `field.path=value` texts, as the CLI's `--set` takes them.
 * @throws ShowtellError `file/missing`, `job/not-yaml` or `job/invalid`.
 */
export async function loadJob(file: string, overrides: readonly string[] = []): Promise<Job> {
  return parseJob(await readYaml(file, 'The job file'), overrides, file);
}

/**
 * The content of a YAML file.
 *
 * @param what names the file in messages, capitalised
 * @throws ShowtellError `file/missing`, `job/not-yaml`
 */
export async function readYaml(file: string, what: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ShowtellError('file/missing', { file, what }, { cause });
  }
  return parseYaml(text, file);
}

/** The content of a YAML text. @throws ShowtellError `job/not-yaml` */
export function parseYaml(text: string, file: string): unknown {
  if (text.length > mostCharacters)
    throw new ShowtellError('job/not-yaml', { file, detail: `it is ${text.length} characters long, a job is not.` });
  if (isDeeperThan(deepest, text))
    throw new ShowtellError('job/not-yaml', { file, detail: `it is nested more than ${deepest} deep, a job is not.` });
  try {
    const document = parseDocument(text);
    const [problem] = document.errors;
    if (problem !== undefined) throw new ShowtellError('job/not-yaml', { file, detail: problem.message });
    return document.toJS() as unknown;
  } catch (cause) {
    if (cause instanceof ShowtellError) throw cause;
    // Such as aliases that grow without end.
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ShowtellError('job/not-yaml', { file, detail }, { cause });
  }
}

/**
 * Whether collections stand within one another beyond a depth. What makes values of them goes into each by a call of its
 * own, and where the stack ends V8 may end the process instead of throwing: it does when a regular expression is to be
 * compiled there.
 */
function isDeeperThan(depth: number, text: string): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    // It goes as far as it is asked to.
    Array.from(parser.next(lexeme));
    // The document itself is the lowest.
    if (parser.stack.length > depth + 1) return true;
  }
  return false;
}
