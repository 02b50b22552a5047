import { abbreviations, fileEndings, sentenceStarters } from './tokenize-abbreviations.js';

/**
 * What the Penn Treebank tokeniser treats as one token, as patterns over a text's shape (tokenize-characters.ts), each with
 * how the token is written. Found by trying the original on words, signs and their combinations, not taken from its grammar.
 */
export interface TokenRule {
  /**
   * Sticky. The whole match, what must follow included, decides which rule wins; where only a part of it is the token,
   * that part is group 1.
   */
  readonly pattern: RegExp;
  /** A class of the characters with which a match can begin. */
  readonly begins: RegExp;
  /** Token as it stands in the text → as it is written before it is lower-cased; `''` for none. */
  readonly write: (token: string) => string;
}

const whole = (token: string): string => token;
const nothing = (): string => '';
const as = (text: string) => (): string => text;
const noBreak = (token: string): string => token.replace(/ /g, '\u00a0');
const noSoftHyphens = (token: string): string => token.replace(/\u00ad/g, '');
const plainAmpersand = (token: string): string => token.replace(/&amp;/gi, '&');
const plainQuotes = (token: string): string =>
  token
    .replace(/[\u2019\u0092\u203a]/g, "'")
    .replace(/[\u2018\u201b\u0091\u2039]/g, '`')
    .replace(/[\u201d\u0094\u00bb]/g, "''")
    .replace(/[\u201c\u0093\u00ab]/g, '``');
const straight = (token: string): string => plainQuotes(token.replace(/&apos;/g, "'"));

function rule(begins: string, source: string, write: TokenRule['write'] = whole, flags = 'sy'): TokenRule {
  return { begins: new RegExp(`[${begins}]`), pattern: new RegExp(source, flags), write };
}

/** A rule in which a letter's case makes no difference. */
function anyCase(begins: string, source: string, write?: TokenRule['write']): TokenRule {
  return rule(begins, source, write, 'isy');
}

// In shapes é is any other letter, \u0301 a mark, \u0660 a digit, \u2003 a space, \u2010 a hyphen, \x01 nothing.
const az = 'A-Za-z';
const entity = '&[aeiouAEIOU](?:[aA][cC][uU][tT][eE]|[gG][rR][aA][vV][eE]|[uU][mM][lL]);';
const letter = `(?:[${az}\\xe9\\u0301\\xad]|${entity})`;
const wordCharacter = `(?:[${az}0-9\\xe9\\u0301\\xad\\u0660]|${entity})`;
const plainLetter = `[${az}\\xe9]`;
const alphanumeric = `[${az}0-9\\xe9\\u0660]`;
const digit = '[0-9\\u0660]';
const blank = '[ \\t\\xa0\\u2003\\n\\x85]';
const apostrophe = "(?:['\\u2019]|&[aA][pP][oO][sS];)";
const anyApostrophe = "(?:['`\\u2018\\u2019]|&[aA][pP][oO][sS];)";

const beginsWord = `${az}\\xe9\\u0301\\xad&`;
const beginsThing = `${az}0-9\\xe9\\u0660`;
const beginsApostrophe = "'\\u2019&";

const word = `${letter}${wordCharacter}*`;
const dottedWord = `${word}(?:[.!?]${word})*`;
const piece = `(?:[dDoOlL]${anyApostrophe}${alphanumeric})?${alphanumeric}+`;
const thing = `${piece}(?:[-_\\u2010]${piece})*`;
const acronym = `[${az}](?:\\.[${az}])+`;
const hyphened = `[${az}0-9][${az}0-9.,\\xad]*(?:-(?:${acronym}\\.|[${az}0-9\\xad]+))+`;
const capitals = '[A-Z]+(?:(?:[+&]|&[aA][mM][pP];)[A-Z]+)+';
const contraction = `${apostrophe}(?:[sSdDmM]|[lL][lL]|[rR][eE]|[vV][eE])`;

const name = `[${az}][${az}0-9_:.-]*`;
const attribute = ` +${name}(?: *= *(?:'[^']*'|"[^"]*"))?`;
const tag = `<(?:/${name} *|${name}(?:${attribute})* */? *|[!?][${az}-][^>\\n]*)>`;

const addressEnd = '[^ \\t\\n"<>|.!?(){},-]';
const path = `/[^ \\t\\n"<>|()]+${addressEnd}`;
const wwwHost = 'www\\.(?:[^ \\t\\n"<>|.!?(){},]+\\.)+[a-z]{2,4}';
const beginsHost = '#%&*+a-z~\\x01\\x80-\\uffff';
const host = `(?:[${beginsHost}]+\\.)+(?:${spell('com|net|org|edu')})`;
const mailCharacter = '[^ \\t\\n\\xa0"<>|(){}]';
const mailLabel = '[^ \\t\\n\\xa0"<>|(){}.]+';

const starters = sentenceStarters.replace(/\B[a-z]/g, (small) => `[${small}${small.toUpperCase()}]`);

const addresses = [
  rule('<', tag, noBreak),
  anyCase('h', `https?://[^ \\t\\n"<>|(){}]+${addressEnd}`),
  anyCase('w', wwwHost),
  anyCase('w', wwwHost + path),
  rule(`<&${az}0-9`, `(?:<|&[lL][tT];)?[${az}0-9]${mailCharacter}*@(?:${mailLabel}\\.)*${mailLabel}>?`),
  rule('@', '@[A-Za-z_][A-Za-z_0-9]*'),
  rule('#', `#${letter}+`),
];

const entities = [
  anyCase('&', '&amp;', as('&')),
  anyCase('&', '&lt;', as('<')),
  anyCase('&', '&gt;', as('>')),
  rule('&', '&(?:quot|apos);', as("'")),
  anyCase('&', '&nbsp;', nothing),
  anyCase('&', '&(?:[mn]dash|md);', as('--')),
  anyCase('&', '&(?:quot|apos|ht|tl|ur|lr|qc|ql|qr|odq|cdq);'),
  rule('&', '&#[0-9]+;'),
];

const beginsNumber = '0-9\\u0660.:,\\xad\\u066b+-';
const numbers = [
  rule(
    '(+0-9',
    '(?:\\([0-9]{2,3}\\)[ \\xa0]?|(?:\\+\\+?)?(?:[0-9]{2,4}[- \\xa0])?[0-9]{2,4}[- \\xa0])[0-9]{3,4}[- \\xa0]?[0-9]{3,5}',
    (token) => noBreak(nameBrackets(token)),
  ),
  rule('0-9\\u0660', `${digit}{1,2}[-/]${digit}{1,2}[-/]${digit}{2,4}`),
  rule('0-9\\u0660', `(?:${digit}{1,4}[- \\xa0])?${digit}{1,4}(?:\\\\?/|\\u2044)${digit}{1,4}`, noBreak),
  rule(beginsNumber, `[-+]?(?:${digit}*(?:[.:,\\xad\\u066b]${digit}+)+|${digit}+)`, noSoftHyphens),
  rule('\\u207a\\xb2', '\\u207a?\\xb2+'),
  rule('\\u207a\\u2080', '\\u207a?\\u2080+'),
  rule('\\xbd', '\\xbd', as('1/2')),
  rule('\\xbc', '\\xbc', as('1/4')),
  rule('\\xbe', '\\xbe', as('3/4')),
  rule('\\u2153', '\\u2153', as('1/3')),
  rule('\\u2154', '\\u2154', as('2/3')),
  rule('A-Z$', '[A-Z]*\\$'),
  rule('\\u20ac', '\\u20ac', as('$')),
  rule('\\xa3', '\\xa3', as('#')),
  rule('\\xa2', '\\xa2', as('cents')),
];

const dotted = [
  anyCase(az, `((?:${abbreviations.beforeNumber})\\.)${blank}?${digit}`),
  anyCase(az, `(?:${abbreviations.leading})\\.`),
  rule(az, `(?:${abbreviations.leadingByCase})\\.`),
  rule(az, `([${az}])\\.${blank}+(?:${starters}|${tag})${blank}`),
  rule(az, `${acronym}\\.|[${az}]\\.`),
  ...[dottedWord, thing, hyphened, capitals].map((one) =>
    rule(beginsThing + beginsWord, `(${one}\\.)[,;:\\u3001]`, noSoftHyphens),
  ),
];

const words = [
  rule(beginsWord, `(${dottedWord})${contraction}`, noSoftHyphens),
  rule(`${az}\\xad`, `([A-Za-z\\xad]*[A-MO-Za-mo-z]\\xad*)[nN]${anyApostrophe}[tT]`, noSoftHyphens),
  rule('nN', `[nN]${anyApostrophe}[tT]`, straight),
  anyCase('c', '(can)not'),
  anyCase('gw', '(gon|wan)na'),
  anyCase('g', '(got)ta'),
  anyCase('gl', '(gim|lem)me'),
  anyCase('ap', '(?:anti|pro)-'),
  rule(beginsWord, dottedWord, noSoftHyphens),
  rule(beginsHost, host),
  rule(beginsHost, host + path),
  anyCase(az, `((?:${abbreviations.ending})\\.)[^][^]`),
  rule(az, `((?:${abbreviations.endingByCase})\\.)[^][^]`),
  rule(beginsThing + beginsWord, `((?:${wordCharacter}+\\.)+(?:${spell(fileEndings)}))(?:${blank}|[.?!,])`),
  anyCase(az, `(?:${abbreviations.ending})\\.`),
  rule(az, `(?:${abbreviations.endingByCase})\\.`),
  rule(beginsThing, thing),
  rule(`${az}0-9`, hyphened, noSoftHyphens),
  rule(`${az}0-9`, `[${az}0-9]+(?:-[${az}]+){0,2}(?:\\\\?/[${az}0-9]+(?:-[${az}]+){0,2}){1,2}`),
  rule('A-Z', capitals, plainAmpersand),
  rule('cC', '[cC]\\+\\+'),
  rule('cCfF', '[cCfF]#'),
  // O'Brien, ma'am and others that an apostrophe joins; it cuts most words.
  rule('A-HJ-XZn', `[A-HJ-XZn]${anyApostrophe}${plainLetter}{2,}`),
  rule(`${az}\\xe9`, `${plainLetter}+[aeiouyAEIOUY]${anyApostrophe}[aeiouA-Z]${plainLetter}*`),
  anyCase(az, "c'est|c'mon|cap'n|e'er|ev'ry|li'l|nat'l|s'mores"),
  anyCase(az, `(?:[ldj]|ol|dunkin|somethin)${apostrophe}`),
  rule('oO', `[oO]${anyApostrophe}[oO]`),
  rule('yY', `([yY]${apostrophe})${plainLetter}`),
];

const apostrophes = [
  rule(beginsApostrophe, `(${contraction})[^${az}]`, straight),
  anyCase("'", "('t)(?:is|was)"),
  anyCase(beginsApostrophe, `${apostrophe}(?:em|till?|cause)`),
  rule(beginsApostrophe, `${apostrophe}[nN]${apostrophe}?`),
  rule(beginsApostrophe, `${apostrophe}[2-9]0[sS]`),
  rule(beginsApostrophe, `(${apostrophe}[0-9]{2})${blank}`),
  // An opening quote.
  rule("'", `(')[${az}][^ \\t\\n\\xa0]`, as('`')),
  rule(beginsApostrophe, contraction, straight),
];

const signs = [
  anyCase('-', '-(?:lrb|rrb|lsb|rsb|lcb|rcb)-'),
  rule('<>:;=', `([<>]?[:;=][-o*']?[()DPdpO\\\\{@|[\\]])[^${az}0-9]`, nameParentheses),
  rule("\\^x=~<>'-", "[\\^x=~<>'-]_[\\^x=~<>'-]"),
  rule('(', "\\((?:[\\^x=~<>'-][_.]?[\\^x=~<>'-]|[\\^x=~<>']-[\\^x=~<>'])\\)", nameParentheses),
  rule('()[\\]{}', '[()[\\]{}]', nameBrackets),
  rule('-', '-{5,}'),
  rule('-\\u2013', '-{2,4}|\\u2013', as('--')),
  rule('.\\x85\\u2026', '\\.{3,5}|\\.(?:[ \\xa0]\\.){2,}|[\\x85\\u2026]', as('...')),
  rule('?!', '[?!]+'),
  rule('*', '\\*+'),
  rule('\\\\', '(?:\\\\\\*)+'),
  rule('_', '_+'),
  rule('#', '#+'),
  rule('@', '@+'),
  rule('<>', '<<|>>'),
  rule("'`", "''|``", as("''")),
  rule('`\\u2018\\u2019\\u201c', '[`\\u2018\\u2019\\u201c]{1,2}', plainQuotes),
  rule('"', '"', as("''")),
  rule('\\t\\n \\xa0\\u2003', '[\\t\\n \\xa0\\u2003]+', nothing),
  rule('\\x01\\u2010\\u066b', '[\\x01\\u2010\\u066b]', nothing),
  rule('\\0-\\uffff', '.'),
];

/** At each place the longest match wins and, among equals, the first. */
export const tokenRules: readonly TokenRule[] = [
  ...addresses,
  ...entities,
  ...numbers,
  ...dotted,
  ...words,
  ...apostrophes,
  ...signs,
];

function nameParentheses(token: string): string {
  return token.replace('(', '-lrb-').replace(')', '-rrb-');
}

function nameBrackets(token: string): string {
  return token.replace(/[()[\]{}]/g, (bracket) => bracketNames[bracket] ?? bracket);
}

const bracketNames: Readonly<Record<string, string>> = {
  '(': '-lrb-',
  ')': '-rrb-',
  '[': '-lsb-',
  ']': '-rsb-',
  '{': '-lcb-',
  '}': '-rcb-',
};

/** A pattern of small letters in any case, for use within one where case matters. */
function spell(alternatives: string): string {
  return alternatives.replace(/[a-z]/g, (small) => `[${small}${small.toUpperCase()}]`);
}
