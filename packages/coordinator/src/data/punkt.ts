import { DIGIT, SPACE, trimEnd, WORD } from './python-text.js';

/**
 * Where sentences end in lower-cased English, as NLTK's `sent_tokenize` finds it: Kiss and Strunk's Punkt (Computational
 * Linguistics 32(4), 2006) with the English model that NLTK distributes. On lower-cased text its rules on capitals
 * never apply, so of the model only what decides there is kept.
 */

const NUMBER = '##number##';

/** Of the model: words that a full stop abbreviates without ending a sentence. */
const abbreviations = new Set(
  (
    'a.a a.c a.d a.g a.h a.m a.m.e a.s a.t adm ala ariz aug ave b.f b.v bros c c.i.t c.o.m.b c.v calif chg cie co col ' +
    'colo conn corp cos ct d d.c d.h d.w dec dr e e.f e.h e.l e.m f f.g f.j feb fla fri ft g g.d g.f g.k ga gen h h.c ' +
    'h.f h.m i.m.s ill inc j.b j.c j.j j.k j.p j.r jan jr k kan ky l l.a l.f l.p lt ltd m m.b.a m.d.c m.j maj messrs mg ' +
    'mich minn mr mrs ms n n.c n.d n.h n.j n.m n.v n.y nev nov oct ok okla ore p p.a.m p.m pa ph.d prof r r.a r.h r.i ' +
    'r.j r.k r.t rep reps s s.a s.a.y s.c s.g s.p.a s.s sen sep sept sr st sw t t.j tenn tues u.k u.n u.s u.s.a u.s.s.r ' +
    'v va vs vt w w.c w.r w.va w.w wash wed wis yr'
  ).split(' '),
);

/** Of the model: pairs of words between which a full stop ends nothing. */
const collocations = new Set([
  ...(
    'abreast aes business cbot colgate commodities cooper corrections credit dividend financing genentech henley ' +
    'insider international leisure letters notable pay-fone pegasus pepper review rj wedgestone who zimmer'
  )
    .split(' ')
    .map((word) => `${NUMBER} ${word}`),
  ...['edelman', 'levine', 'smith', 'stewart', 'wigton'].map((word) => `b ${word}`),
  ...['i magnin', 'i toussie', 'j aron', 'j fialka', 'j walter', 'o ludcke'],
]);

/** Of the model: the only words it saw begin a sentence in lower case and never saw in upper case. */
const lowerCaseStarters = new Set(['administrators', 'b-week', 'r-revised', 'z-holiday']);

const NON_WORD = '[)";}\\]*:@\'({\\[‘’“”«»?!]';
const MULTIPLE = `(?:-{2,}|\\.{2,}|(?:\\.[${SPACE}]){2,}\\.)`;
const WORD_END = `[${SPACE}]|$|${NON_WORD}|${MULTIPLE}`;
const token = new RegExp(
  `${MULTIPLE}|(?=[^("\`{\\[:;&#*@)}\\]\\-,])[^${SPACE}]+?(?=${WORD_END}|,(?:${WORD_END}))|[^${SPACE}]`,
  'gu',
);
const possibleEnd = new RegExp(`[.?!](?=(${NON_WORD}|[${SPACE}]+([^${SPACE}]+)))`, 'gu');
const closing = new RegExp(`^["')\\]}‘’“”«»]+?(?:[${SPACE}]+|(?=--)|$)`, 'mu');
const number = new RegExp(`^-?[.,]?${DIGIT}[${DIGIT},.-]*\\.?$`, 'u');
const initial = new RegExp(`^[${WORD.replace('\\p{N}', '')}]\\.$`, 'u');
const punctuation = new Set([';', ':', ',', '.', '!', '?']);

/** The sentences of a lower-cased text, in order. */
export function sentences(text: string): string[] {
  const spans: { start: number; end: number }[] = [];
  let start = 0;
  for (const { end, next, context } of possibleEnds(text)) {
    if (!endsSentence(context)) continue;
    spans.push({ start, end });
    start = next;
  }
  spans.push({ start, end: trimEnd(text).length });
  return realigned(text, spans);
}

interface PossibleEnd {
  /** After the closing mark. */
  readonly end: number;
  /** Where the next sentence would begin. */
  readonly next: number;
  /** The word before the mark, the mark, and what follows it. */
  readonly context: string;
}

/** Of marks in one run ("acting!!!") only the last counts. */
function* possibleEnds(text: string): Generator<PossibleEnd> {
  let wordStart = 0;
  let wordEnd = 0;
  let previous: PossibleEnd | null = null;
  for (const match of text.matchAll(possibleEnd)) {
    const [mark, after = '', following] = match;
    const before = text.slice(wordEnd, match.index);
    const space = lastSpace(before);
    const newStart = space > 0 ? wordEnd + space + 1 : wordStart;
    if (previous !== null && wordEnd <= newStart) yield previous;
    wordStart = newStart;
    wordEnd = match.index;
    const end = match.index + mark.length;
    previous = {
      end,
      next: following === undefined ? end : end + after.length - following.length,
      context: text.slice(wordStart, wordEnd) + mark + after,
    };
  }
  if (previous !== null) yield previous;
}

/** Index of the last ASCII white space; 0 for none, as NLTK has it, and for one at the very start. */
function lastSpace(text: string): number {
  return Math.max(0, text.search(/[ \t-\r][^ \t-\r]*$/));
}

function endsSentence(context: string): boolean {
  const tokens = context.match(token) ?? [];
  return tokens.slice(0, -1).some((word, i) => isEnd(word, tokens[i + 1] ?? ''));
}

/** By its last character alone; what follows may still overrule it. */
function looksLikeEnd(word: string): boolean {
  if (word === '?' || word === '!' || word === '.') return true;
  if (!word.endsWith('.') || word.endsWith('..')) return false;
  const stem = word.slice(0, -1);
  return !abbreviations.has(stem) && !abbreviations.has(stem.split('-').at(-1) ?? '');
}

function isEnd(word: string, next: string): boolean {
  if (!looksLikeEnd(word)) return false;
  if (!word.endsWith('.')) return true;
  const bare = withoutStop(typeOf(word));
  const nextType = looksLikeEnd(next) ? withoutStop(typeOf(next)) : typeOf(next);
  if (collocations.has(`${bare} ${nextType}`)) return false;
  if (!initial.test(word) && bare !== NUMBER) return true;
  // After an initial or a number, what can't begin a sentence shows that none has ended.
  if (punctuation.has(next)) return false;
  const lower = next.slice(0, 1).toUpperCase() !== next.slice(0, 1);
  return !lower || lowerCaseStarters.has(nextType);
}

function typeOf(word: string): string {
  return word.replace(number, NUMBER);
}

function withoutStop(type: string): string {
  return type.length > 1 && type.endsWith('.') ? type.slice(0, -1) : type;
}

/** Quotes and brackets that close after the mark belong to the sentence they close. */
function realigned(text: string, spans: readonly { start: number; end: number }[]): string[] {
  const found: string[] = [];
  let shift = 0;
  for (const [i, span] of spans.entries()) {
    const start = span.start + shift;
    const next = spans[i + 1];
    const match = next === undefined ? null : closing.exec(text.slice(next.start, next.end));
    if (next !== undefined && match !== null) {
      found.push(text.slice(start, next.start + trimEnd(match[0]).length));
      shift = match[0].length;
    } else {
      shift = 0;
      if (start < span.end) found.push(text.slice(start, span.end));
    }
  }
  return found;
}
