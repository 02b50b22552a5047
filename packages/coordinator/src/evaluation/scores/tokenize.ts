import { tokenRules } from './tokenize-rules.js';

const rules = tokenRules();

/** What coco-caption throws away. Brackets are in its list too, but in capitals, so the lower-cased ones stay. */
const removed = new Set(["''", "'", '``', '`', '.', '?', '!', ',', ':', '-', '--', '...', ';']);

const lineBreaks = /[\n-\r\x1c-\x1f\x85\u2028\u2029]/gu;
const softHyphens = /\xad/gu;

/** A word of plain letters between spaces, as nearly all are: no rule reaches beyond it, and only these are cut. */
const plainWord = /[A-Za-z]+(?= |$)/y;
const cutWords = new Set(['cannot', 'gonna', 'wanna', 'gotta', 'gimme', 'lemme']);

/**
 * A caption → the tokens that coco-caption scores: what pycocoevalcap's `PTBTokenizer` (Stanford CoreNLP 3.4.1, lower-cased,
 * punctuation removed) makes of it. `[]` for a caption without words. Tokens may hold a no-break space (`2 1/2` is one).
 *
 * Two differences are deliberate. There, all captions run through the tokeniser as one stream, so that the end of one can
 * depend on the beginning of the next; here each stands alone, as if another ordinary line followed. And a carriage
 * return or a Unicode line separator in a caption, which there shifts every later caption by a place, is a space here.
 */
export function tokenizeCaption(caption: string): string[] {
  const text = caption.replace(lineBreaks, ' ').replace(softHyphens, '');
  const tokens: string[] = [];
  let position = 0;
  while (position < text.length) {
    if (text[position] === ' ') {
      position++;
      continue;
    }
    const word = plainWordAt(text, position);
    if (word !== null) {
      tokens.push(word);
      position += word.length;
      continue;
    }
    const { length, parts } = longestMatch(text, position);
    for (const part of parts) {
      const token = part.toLowerCase();
      if (!removed.has(token)) tokens.push(token);
    }
    position += length;
  }
  return tokens;
}

/** Spares the captions of a large training set the rules, which is several times as fast. */
function plainWordAt(text: string, position: number): string | null {
  if (position > 0 && text[position - 1] !== ' ') return null;
  plainWord.lastIndex = position;
  const word = plainWord.exec(text)?.[0].toLowerCase();
  return word === undefined || cutWords.has(word) ? null : word;
}

function longestMatch(text: string, position: number): { length: number; parts: string[] } {
  let longest = '';
  let winner = rules[0];
  for (const candidate of rules) {
    candidate.pattern.lastIndex = position;
    const match = candidate.pattern.exec(text);
    if (match !== null && match[0].length > longest.length) {
      longest = match[0];
      winner = candidate;
    }
  }
  return { length: Math.max(1, longest.length), parts: longest === '' ? [] : (winner?.parts(longest) ?? []) };
}
