/**
 * White space as Python's `str.split()` sees it. pycocoevalcap's BLEU and CIDEr split a tokenised caption with it, so the
 * no-break space that the tokeniser leaves inside `2 1/2` parts words there, though not in ROUGE-L.
 */

const pythonSpace = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** Tokens of a caption → words as `str.split()` would cut the joined caption. */
export function splitWords(tokens: readonly string[]): string[] {
  return tokens.flatMap((token) => token.split(pythonSpace)).filter((word) => word !== '');
}

/** How often each n-gram of one order occurs in `words`; the key is the words joined by a space. */
export function countNgrams(words: readonly string[], order: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let start = 0; start + order <= words.length; start++) {
    const key = words.slice(start, start + order).join(' ');
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
