import { END_WORD, START_WORD } from '@showtell/shared/data/vocabulary.js';
import { sentences } from './punkt.js';
import { DIGIT, SPACE, splitOnSpace, WORD } from './python-text.js';

type Rule = readonly [pattern: RegExp, replacement: string];

const rule = (pattern: string, replacement: string): Rule => [new RegExp(pattern, 'gu'), replacement];

/**
 * NLTK's word tokenizer (`NLTKWordTokenizer`, the Penn Treebank's rules after Robert MacIntyre's sed script with NLTK's
 * additions for quotes, ellipses and dashes), as substitutions in their order, for one lower-cased sentence.
 */
const openingQuotes: readonly Rule[] = [
  rule('([«“‘„]|`+)', ' $1 '),
  rule('^"', '``'),
  rule('(``)', ' $1 '),
  rule('([ ([{<])("|\'\')', '$1 `` '),
  rule(`(?<![${WORD}])'(?!(?:re|ve|ll|m|t|s|d|n)(?![${WORD}]))(?=[${WORD}])`, "' "),
];

const punctuation: readonly Rule[] = [
  rule(`([^.])(\\.)([\\])}>"' »”’]*)[${SPACE}]*$`, '$1 $2 $3 '),
  rule(`([:,])([^${DIGIT}])`, ' $1 $2'),
  rule('([:,])$', ' $1 '),
  rule('\\.{2,}', ' $& '),
  rule('[;@#$%&]', ' $& '),
  rule('[\u2012-\u2015]', ' $& '),
  rule(`([^.])(\\.)([\\])}>"']*)[${SPACE}]*$`, '$1 $2$3 '),
  rule('[?!]', ' $& '),
  rule("([^'])' ", "$1 ' "),
  rule('[*]', ' $& '),
  rule('[\\][(){}<>]', ' $& '),
  rule('--', ' -- '),
];

const closingQuotes: readonly Rule[] = [
  rule('([»”’])', ' $1 '),
  rule("''", " '' "),
  rule('"', " '' "),
  rule(`[${SPACE}]+`, ' '),
  rule("([^' ])('[smd]|') ", '$1 $2 '),
  rule("([^' ])('ll|'re|'ve|n't) ", '$1 $2 '),
];

const contractions: readonly Rule[] = [
  ...["(can)(not)", "(d)('ye)", '(gim)(me)', '(gon)(na)', '(got)(ta)', '(lem)(me)', "(more)('n)"].map((pair) =>
    rule(`(?<![${WORD}])${pair}(?![${WORD}])`, ' $1 $2 '),
  ),
  rule(`(?<![${WORD}])(wan)(na)(?=[${SPACE}])`, ' $1 $2 '),
  rule(` ('t)(is)(?![${WORD}])`, ' $1 $2 '),
  rule(` ('t)(was)(?![${WORD}])`, ' $1 $2 '),
];

function apply(text: string, rules: readonly Rule[]): string {
  let result = text;
  for (const [pattern, replacement] of rules) result = result.replace(pattern, replacement);
  return result;
}

/** The words of a text as `nltk.tokenize.word_tokenize(text.lower())` gives them. */
export function tokenizeWords(text: string): string[] {
  return sentences(text.toLowerCase()).flatMap((sentence) => {
    const padded = ` ${apply(apply(sentence, openingQuotes), punctuation)} `;
    return splitOnSpace(apply(apply(padded, closingQuotes), contractions));
  });
}

/** A caption's words as im2txt records them, from `<S>` to `</S>`. */
export function captionWords(caption: string): string[] {
  return [START_WORD, ...tokenizeWords(caption), END_WORD];
}
