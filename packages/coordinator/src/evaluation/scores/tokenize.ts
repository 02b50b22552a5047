import { shapeOf } from './tokenize-characters.js';
import { tokenRules, type TokenRule } from './tokenize-rules.js';

/** What coco-caption throws away. Brackets are in its list too, but in capitals, so the lower-cased ones stay. */
const removed = new Set(['', "''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';']);

/** These end a line in the original, and shift every later caption by a place. */
const lineBreaks = /[\n-\r\u2028\u2029]/g;

const wordWithSigns = /[\p{Lu}\p{Ll}\p{Lt}\p{Lm}\p{M}\p{N}]+(?:[._'\u2010-][\p{Lu}\p{Ll}\p{Lt}\p{Lm}\p{M}\p{N}]+)*/gu;
const blankLine = /^[ \t\xa0\u2000-\u200a\u3000\x85]*$/;
const cutWords = new Set(['cannot', 'gonna', 'wanna', 'gotta', 'gimme', 'lemme']);

/** What Python's `str.rstrip()` takes from the end of a line. */
const trailingSpace = /[\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/;

/** What a rule that looks beyond a caption finds there: a line that tells it nothing. */
const ordinary = '\na\n';

/**
 * A caption → the tokens that coco-caption scores: what pycocoevalcap's `PTBTokenizer` (Stanford CoreNLP 3.4.1, lower-cased,
 * punctuation removed) makes of it where an ordinary line follows. `[]` for a caption without words. Tokens may hold a
 * no-break space (`2 1/2` is one).
 *
 * One difference is deliberate: a carriage return or a Unicode line separator in a caption, which there shifts every later
 * caption by a place, is a space here.
 */
export function tokenizeCaption(caption: string): string[] {
  return tokenize(oneLine(caption), ordinary);
}

/**
 * Captions → tokens, as `PTBTokenizer` has them in one call: all run through it as one stream, so that the end of one can
 * depend on how the next begins ("grade A." loses its dot before "The …"), and the last one's on there being none.
 */
export function tokenizeCaptions(captions: readonly string[]): string[][] {
  const lines = captions.map(oneLine);
  const after = followers(lines);
  return lines.map((line, index) => tokenize(line, after[index] ?? ''));
}

function oneLine(caption: string): string {
  return caption.replace(lineBreaks, ' ');
}

/** What follows each line in the stream, as far as a rule can look: to the end of the next line that is not blank. */
function followers(lines: readonly string[]): string[] {
  const after = lines.map(() => '');
  let rest = '';
  for (let index = lines.length - 1; index >= 0; index--) {
    after[index] = rest;
    const line = lines[index] ?? '';
    if (!blankLine.test(line) || rest === '') rest = `\n${line}${rest === '' ? '' : '\n'}`;
    else if (!rest.startsWith('\n\n')) rest = `\n${rest}`;
  }
  return after;
}

/** @param after what follows the line, of which nothing becomes a token here; `''` at the end of the stream. */
function tokenize(line: string, after: string): string[] {
  let shape: string | undefined;
  const tokens: string[] = [];
  let last = '';
  let position = 0;
  while (position < line.length) {
    if (line.charCodeAt(position) === space) {
      position++;
      continue;
    }
    const plain = plainWordAt(line, after, position);
    if (plain !== null) {
      tokens.push((last = plain));
      position += plain.length;
      continue;
    }
    shape ??= shapeOf(line + after);
    const { length, write } = longestMatch(shape, position);
    const token = lowerCase(write(line.slice(position, position + length)));
    if (token !== '') last = token;
    if (!removed.has(token)) tokens.push(token);
    position += length;
  }
  if (trailingSpace.test(last)) {
    tokens.pop();
    const stripped = last.replace(trailingSpace, '');
    if (!removed.has(stripped)) tokens.push(stripped);
  }
  return tokens;
}

const space = ' '.charCodeAt(0);

/**
 * A word of plain letters with a space or a line's end after it, as nearly all are: no rule reaches beyond it, and few of
 * these words are cut. Spares them the rules, which is several times as fast.
 */
function plainWordAt(line: string, after: string, position: number): string | null {
  let end = position;
  while (isPlainLetter(line.charCodeAt(end))) end++;
  const isWord = end > position && (end < line.length ? line.charCodeAt(end) === space : after !== '');
  if (!isWord) return null;
  const word = line.slice(position, end).toLowerCase();
  return cutWords.has(word) ? null : word;
}

function isPlainLetter(code: number): boolean {
  const small = code | 0x20;
  return small >= 0x61 && small <= 0x7a;
}

function longestMatch(shape: string, position: number): { length: number; write: TokenRule['write'] } {
  let longest = 0;
  let length = 1;
  let winner: TokenRule | undefined;
  for (const candidate of rulesFor(shape.charCodeAt(position))) {
    candidate.pattern.lastIndex = position;
    const match = candidate.pattern.exec(shape);
    if (match !== null && match[0].length > longest) {
      longest = match[0].length;
      length = (match[1] ?? match[0]).length;
      winner = candidate;
    }
  }
  return { length, write: winner?.write ?? ((token) => token) };
}

const rulesByFirst = new Map<number, readonly TokenRule[]>();

function rulesFor(code: number): readonly TokenRule[] {
  let rules = rulesByFirst.get(code);
  if (rules === undefined) {
    const first = String.fromCharCode(code);
    rules = tokenRules.filter(
      ({ begins, pattern }) => begins.test(first) || (pattern.ignoreCase && begins.test(first.toLowerCase())),
    );
    rulesByFirst.set(code, rules);
  }
  return rules;
}

/**
 * As Java has it. It differs from JavaScript at a capital sigma: Java looks for the letters around it across hyphens and
 * other signs within the word, JavaScript at its neighbours.
 */
function lowerCase(token: string): string {
  if (!token.includes('\u03a3')) return token.toLowerCase();
  return token
    .replace(wordWithSigns, (word) =>
      word.replace(/\u03a3/g, (_, at: number) => (isFinal(word, at) ? '\u03c2' : '\u03c3')),
    )
    .toLowerCase();
}

function isFinal(word: string, at: number): boolean {
  return /\p{Cased}/u.test(word.slice(0, at)) && !/\p{Cased}/u.test(word.slice(at + 1));
}
