/** What a set of generated captions owes to the training set, and how varied it is. */
export interface Novelty {
  /** Share of captions, repeats counted, whose exact token sequence no training caption has; 0 for no captions. */
  readonly novelty: number;
  /** Captions that are some training caption, word for word. */
  readonly copied: number;
  readonly generated: number;
  /** Different words over all words, different bigrams over all bigrams (within a caption); 0 where there are none. */
  readonly distinct1: number;
  readonly distinct2: number;
  /** Different words used. */
  readonly vocabulary: number;
  /** Words a caption, empty captions counted. */
  readonly meanLength: number;
}

/** The form in which captions are compared: tokens joined by a space. Both sides must come from the same tokeniser. */
export function captionKey(tokens: readonly string[]): string {
  return tokens.join(' ');
}

/** Compares generated captions with `training`, a set of {@link captionKey}s. */
export function measureNovelty(generated: readonly (readonly string[])[], training: ReadonlySet<string>): Novelty {
  const words = new Set<string>();
  const bigrams = new Set<string>();
  let allWords = 0;
  let allBigrams = 0;
  let copied = 0;
  for (const tokens of generated) {
    if (training.has(captionKey(tokens))) copied++;
    tokens.forEach((token, index) => {
      words.add(token);
      if (index > 0) bigrams.add(`${tokens[index - 1] ?? ''} ${token}`);
    });
    allWords += tokens.length;
    allBigrams += Math.max(0, tokens.length - 1);
  }
  return {
    novelty: share(generated.length - copied, generated.length),
    copied,
    generated: generated.length,
    distinct1: share(words.size, allWords),
    distinct2: share(bigrams.size, allBigrams),
    vocabulary: words.size,
    meanLength: share(allWords, generated.length),
  };
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
