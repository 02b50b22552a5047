import { characterRanges } from './character-ranges.js';

/**
 * The tokeniser's alphabet: what stands for each character beyond ASCII in a text's shape, on which the rules work. Kinds
 * that behave alike share one stand-in; the tokens are cut from the text itself.
 */
export const standIn = {
  letter: '\u00e9',
  /** Joins words as a letter does, but not digits, hyphens or apostrophes. */
  mark: '\u0301',
  digit: '\u0660',
  hyphen: '\u2010',
  softHyphen: '\u00ad',
  /** A token of its own. */
  sign: '\u00a1',
  /** Parts words and leaves nothing: what the tokeniser does not know, emoji for one. */
  nothing: '\u0001',
  dash: '\u2013',
  /** Three dots in one; ends a line, too, where a rule asks for what follows. */
  ellipsis: '\u0085',
  noBreakSpace: '\u00a0',
  space: '\u2003',
  leftApostrophe: '\u2018',
  rightApostrophe: '\u2019',
  quote: '\u201c',
  dollar: '\u20ac',
  superscript: '\u00b2',
  superscriptSign: '\u207a',
  subscript: '\u2080',
} as const;

const specials: readonly [string, readonly (number | readonly [number, number])[]][] = [
  [standIn.hyphen, [0x058a, 0x2010, 0x2011]],
  [standIn.softHyphen, [0xad]],
  [standIn.dash, [0x96, 0x97, [0x2013, 0x2015]]],
  [standIn.ellipsis, [0x85]],
  ['\u2026', [0x2026]],
  [standIn.noBreakSpace, [0xa0]],
  [standIn.space, [[0x2000, 0x200a], 0x3000]],
  [standIn.leftApostrophe, [0x91, 0x2018, 0x201b]],
  [standIn.rightApostrophe, [0x92, 0x2019]],
  [standIn.quote, [0x93, 0x94, 0xab, 0xbb, 0x201a, [0x201c, 0x201f], 0x2039, 0x203a]],
  [standIn.dollar, [0x80, 0xa4, 0x20a0, 0x20ac]],
  [standIn.superscript, [0xb2, 0xb3, 0xb9, 0x2070, [0x2074, 0x2079]]],
  [standIn.superscriptSign, [0x207a, 0x207b, 0x208a, 0x208b]],
  [standIn.subscript, [[0x2080, 0x2089]]],
  // Decimal separators, and what stands for itself: cent, pound, fractions, fraction slash, ideographic comma.
  ['\u066b', [0x066b, 0x066c]],
  ...[0xa2, 0xa3, 0xbc, 0xbd, 0xbe, 0x2044, 0x2153, 0x2154, 0x3001].map((code): [string, number[]] => [
    String.fromCharCode(code),
    [code],
  ]),
];

const beyondAscii = /[^\t\n\x20-\x7e]/;
const table = makeTable();

/** A text of the same length in the tokeniser's alphabet. Tabs and line feeds stay. */
export function shapeOf(text: string): string {
  if (!beyondAscii.test(text)) return text;
  let shape = '';
  for (let i = 0; i < text.length; i++) shape += String.fromCharCode(table[text.charCodeAt(i)] ?? 0);
  return shape;
}

function makeTable(): Uint16Array {
  const codes = new Uint16Array(0x10000).fill(standIn.nothing.charCodeAt(0));
  for (let code = 0x20; code < 0x7f; code++) codes[code] = code;
  for (const code of [0x09, 0x0a]) codes[code] = code;
  for (const kind of ['letter', 'mark', 'digit', 'sign'] as const) {
    let end = 0;
    for (const range of characterRanges[kind].split(' ')) {
      const [gap = '', more = '0'] = range.split(':');
      const start = end + Number.parseInt(gap, 36);
      end = start + Number.parseInt(more, 36);
      codes.fill(standIn[kind].charCodeAt(0), start, end + 1);
    }
  }
  for (const [stand, members] of specials) {
    for (const member of members) {
      const [first, last] = typeof member === 'number' ? [member, member] : member;
      codes.fill(stand.charCodeAt(0), first, last + 1);
    }
  }
  return codes;
}
