/**
 * What the Penn Treebank tokeniser treats as one token, as patterns; each with what it is written as, and cut into.
 * Found by trying the original on words, signs and their combinations, not taken from its grammar.
 */
export interface TokenRule {
  /** Sticky, so that it matches at `lastIndex` only. */
  readonly pattern: RegExp;
  readonly parts: (match: string) => string[];
}

/** At each place the longest match wins and, among equals, the first. */
export function tokenRules(): readonly TokenRule[] {
  return [...spaces, ...addresses, ...entities, ...numbers, ...abbreviations, ...words, ...apostrophes, ...signs];
}

const whole = (match: string): string[] => [match];
const nothing = (): string[] => [];
const as =
  (...tokens: string[]) =>
  (): string[] =>
    tokens;
const straight = (match: string): string[] => [straighten(match)];
const noBreak = (match: string): string[] => [match.replace(/ /gu, '\u00a0')];

function rule(source: string, parts: (match: string) => string[] = whole): TokenRule {
  return { pattern: new RegExp(source, 'suy'), parts };
}

/** A rule in which a letter's case makes no difference. */
function anyCase(source: string, parts: (match: string) => string[] = whole): TokenRule {
  return { pattern: new RegExp(source, 'isuy'), parts };
}

// Variation selectors are marks too, but part a word.
const letter = '(?:(?![\\ufe00-\\ufe0f])[\\p{L}\\p{M}])';
const alphanumeric = '(?:(?![\\ufe00-\\ufe0f])[\\p{L}\\p{M}\\p{Nd}])';
const apostrophe = "['\\u2018\\u2019\\u201b]";
const wordEnds = `(?!${alphanumeric})`;
const dottedWord = `${letter}${alphanumeric}*(?:[.!?]${letter}${alphanumeric}*)*`;
const hyphenatedWord = `${alphanumeric}+(?:[-_]${alphanumeric}+)*`;

const spaces = [rule('[ \\t\\u00a0\\u2000-\\u200a\\u3000]+', nothing)];

const addresses = [
  rule('</?[A-Za-z][^<>]*>', noBreak),
  anyCase('https?://[^ \\t"<>|()]+[^ \\t"<>|.!?(){},-]'),
  anyCase(`www\\.(?:[a-z0-9_-]+\\.)+[a-z]{2,4}(?:/[^ \\t"<>|()]*[^ \\t"<>|.!?(){},-])?`),
  anyCase(`(?:[a-z0-9_-]+\\.)+(?:com|net|org|edu)(?:/[^ \\t"<>|()]*[^ \\t"<>|.!?(){},-])?${wordEnds}`),
  rule('[A-Za-z0-9][^ \\t"<>|(){}\\u00a0]*@(?:[^ \\t"<>|(){}.\\u00a0]+\\.)*[^ \\t"<>|(){}.\\u00a0]+'),
  rule('@[A-Za-z_][A-Za-z_0-9]*'),
  rule(`#${letter}(?:${alphanumeric}|_)*`),
];

const entities = [
  anyCase('&amp;', as('&')),
  anyCase('&lt;', as('<')),
  anyCase('&gt;', as('>')),
  anyCase('&quot;', as("''")),
];

const numbers = [
  rule('\\([0-9]{2,3}\\)[ \\u00a0]?[0-9]{3,4}[- \\u00a0]?[0-9]{3,5}', (match) => noBreak(nameBrackets(match))),
  rule('(?:\\+?[0-9]{2,4}[- \\u00a0])?[0-9]{2,4}[- \\u00a0][0-9]{3,4}[- \\u00a0]?[0-9]{3,5}', noBreak),
  rule('[0-9]{1,2}[-/][0-9]{1,2}[-/][0-9]{2,4}'),
  rule('(?:[0-9]{1,4}[- \\u00a0])?[0-9]{1,4}/[0-9]{1,4}', noBreak),
  rule('\u00bd', as('1/2')),
  rule('\u00bc', as('1/4')),
  rule('\u00be', as('3/4')),
  rule('[-+]?(?:[0-9]*(?:[.:,][0-9]+)+|[0-9]+)'),
  rule('[A-Z]*\\$'),
  rule('\u00a3', as('#')),
  rule('\u20ac', as('$')),
  rule('\u00a2', as('cents')),
];

const months = 'jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|thu|thurs|fri';
const states = 'ala|ariz|calif|colo|conn|dak|fla|ga|ind|kan|ky|md|mich|minn|mo|neb|nev|okla|penn|tenn|va|vt|wis|wyo';
const titles =
  'mrs?|ms|drs?|profs?|sen|rep|atty|lt|lieut|col|gen|messrs|gov|adm|rev|maj|sgt|cpl|pvt|capt|pres|hon|brig|co?mdr|pfc|spc|' +
  'supt|det|ens|insp|mlle|mme|msgr|sfc|jr|sr|esq|adj|adv|asst|assoc';
const companies = 'inc|cos?|corp|ltd|plc|pt[ey]|bhd|cie|dept|mfg|mtg|bros|assn|univ|intl|sys|invt|elec|natl|jos|wm';
const places = 'ave|bldg|blvd|ct|ext|ft|mt|rd|rt|sq|ste?|tel';
const latin = 'al|cf|est|etc|seq|vs|ph';

const abbreviations = [
  anyCase(`(?:${[months, states, titles, companies, places, latin].join('|')})\\.`),
  // Words in their own right when they begin small.
  rule(
    '(?:A[Zz]|A(?:rk|RK)|D(?:el|EL)|I(?:ll|LL)|L[Aa]|M(?:ass|ASS)|M(?:iss|ISS)|O(?:re|RE)|P[Aa]|T(?:ex|EX)|W(?:ash|ASH))\\.',
  ),
  anyCase('no\\.(?= ?[0-9])'),
  anyCase('ph\\.d\\.'),
  anyCase('[a-z]\\.(?:[a-z]\\.)*'),
  rule('[A-Z]+(?:[+&][A-Z]+)+'),
];

const words = [
  anyCase(`cannot${wordEnds}`, cutBefore(3)),
  anyCase(`(?:gon|wan)na${wordEnds}`, cutBefore(2)),
  anyCase(`gotta${wordEnds}`, cutBefore(2)),
  anyCase(`(?:gim|lem)me${wordEnds}`, cutBefore(2)),
  rule('[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}(?:/[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}){1,2}'),
  anyCase('w/o'),
  anyCase(`w/(?!${alphanumeric})`, as('w', '/')),
  anyCase(`${letter}*(?!n)${letter}n${apostrophe}t${wordEnds}`, (match) => cutBefore(3)(straighten(match))),
  anyCase(`y${apostrophe}all${wordEnds}`, (match) => cutBefore(3)(straighten(match))),
  // O'Brien and o'clock, ma'am; other words that an apostrophe joins are cut there.
  rule(`[A-HJ-XZn]${apostrophe}${letter}{2,}`, straight),
  anyCase(`[dol]${apostrophe}(?!(?:[sdm]|ll|re|ve)${wordEnds})${letter}+(?:-${alphanumeric}+)*`, straight),
  rule(`${letter}*[aeiouyAEIOUY]${apostrophe}[aeiouA-Z]${letter}*`, straight),
  anyCase(`c${apostrophe}mon${wordEnds}`, straight),
  anyCase(`n${apostrophe}t${wordEnds}`, straight),
  rule(`${dottedWord}\\.(?=[,;:])`),
  anyCase('-(?:lrb|rrb|lsb|rsb|lcb|rcb)-'),
  rule(dottedWord),
  rule(hyphenatedWord),
  rule('[A-Za-z0-9][A-Za-z0-9.,]*(?:-[A-Za-z0-9]+)+'),
  rule('[Cc]\\+\\+'),
];

const apostrophes = [
  anyCase(`${apostrophe}(?:[sdm]|ll|re|ve)${wordEnds}`, straight),
  rule(`${apostrophe}[0-9]0s${wordEnds}`, straight),
  anyCase(`${apostrophe}(?:tis|twas)${wordEnds}`, (match) => [straighten(match.slice(0, 2)), match.slice(2)]),
  anyCase(`${apostrophe}n(?:${apostrophe}|${wordEnds})`, straight),
  anyCase(`${apostrophe}(?:em|til|cause)${wordEnds}`, straight),
];

const signs = [
  rule(`[<>]?[:;=][-o*']?[()DPdpO\\\\{@|\\[\\]]${wordEnds}`, (match) => [nameBrackets(match)]),
  rule('[()[\\]{}]', (match) => [nameBrackets(match)]),
  rule('-{5,}'),
  rule('-{2,4}|[\u2013\u2014\u2015]', as('--')),
  rule('\\.{2,}|\u2026', as('...')),
  rule('[?!]+'),
  rule('\\*+'),
  rule('<<|>>'),
  rule("[\"\u201c\u201d\u00ab\u00bb]|``|''", as("''")),
  rule(apostrophe, as("'")),
  // Beyond the basic plane (most emoji), joiners and variation selectors: they part words and leave nothing.
  rule('[\\u{10000}-\\u{10ffff}]|\\u200b|\\u200c|\\u200d|\\u2060|\\ufeff|[\\ufe00-\\ufe0f]', nothing),
  rule('.'),
];

function cutBefore(ending: number): (match: string) => string[] {
  return (match) => [match.slice(0, -ending), match.slice(-ending)];
}

function straighten(text: string): string {
  return text.replace(/[\u2018\u2019\u201b]/gu, "'");
}

const bracketNames: Readonly<Record<string, string>> = {
  '(': '-lrb-',
  ')': '-rrb-',
  '[': '-lsb-',
  ']': '-rsb-',
  '{': '-lcb-',
  '}': '-rcb-',
};

function nameBrackets(text: string): string {
  return text.replace(/[()[\]{}]/gu, (bracket) => bracketNames[bracket] ?? bracket);
}
