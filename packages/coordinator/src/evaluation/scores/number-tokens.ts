/** One picture to score: the caption made for it and the captions people wrote, all tokenised. */
export interface ScoredCaption {
  readonly candidate: readonly string[];
  readonly references: readonly (readonly string[])[];
}

/** Lists of whole numbers in one array: list `i` reaches from `starts[i]` to `starts[i + 1]`. */
export interface NumberLists {
  readonly items: Int32Array;
  readonly starts: Int32Array;
}

export function listLength({ starts }: NumberLists, list: number): number {
  return (starts[list + 1] as number) - (starts[list] as number);
}

/** The captions of a set in a row, each picture's candidate and then its references, with numbers for strings. */
export interface NumberedSet {
  readonly pictures: number;
  /** Picture `p` has captions `firsts[p]`, its candidate, to `firsts[p + 1]`. */
  readonly firsts: Int32Array;
  /** Each caption's tokens, as ROUGE-L compares them. */
  readonly tokens: NumberLists;
  /** Each caption's words, as BLEU and CIDEr count them. */
  readonly words: NumberLists;
  /** All numbers of tokens and words are below it. */
  readonly numbers: number;
}

/**
 * White space as Python's `str.split()` sees it. pycocoevalcap's BLEU and CIDEr split a tokenised caption with it, so the
 * no-break space that the tokeniser leaves inside `2 1/2` parts words there, though not in ROUGE-L.
 */
const pythonSpace = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** Gives equal tokens of a set one number, so that no string is looked at twice. */
export function numberTokens(captions: readonly ScoredCaption[]): NumberedSet {
  const numbers = new Map<string, number>();
  const numberOf = (text: string): number => {
    let number = numbers.get(text);
    if (number === undefined) numbers.set(text, (number = numbers.size));
    return number;
  };
  /** Of the few tokens that are not one word. */
  const wordsWithin = new Map<number, readonly number[]>();
  const tokens = new ListWriter();
  const words = new ListWriter();
  const add = (caption: readonly string[]): void => {
    for (const token of caption) {
      const known = numbers.size;
      const number = numberOf(token);
      if (number === known && !oneWord(token)) wordsWithin.set(number, wordsOf(token).map(numberOf));
      tokens.items.push(number);
      const within = wordsWithin.get(number);
      if (within === undefined) words.items.push(number);
      else words.items.push(...within);
    }
    tokens.endList();
    words.endList();
  };
  const firsts = [0];
  for (const { candidate, references } of captions) {
    add(candidate);
    references.forEach(add);
    firsts.push(tokens.starts.length - 1);
  }
  return {
    pictures: captions.length,
    firsts: Int32Array.from(firsts),
    tokens: tokens.lists(),
    words: words.lists(),
    numbers: numbers.size,
  };
}

function oneWord(token: string): boolean {
  return token !== '' && !pythonSpace.test(token);
}

function wordsOf(token: string): string[] {
  return token.split(pythonSpace).filter((word) => word !== '');
}

class ListWriter {
  readonly items: number[] = [];
  readonly starts = [0];

  endList(): void {
    this.starts.push(this.items.length);
  }

  lists(): NumberLists {
    return { items: Int32Array.from(this.items), starts: Int32Array.from(this.starts) };
  }
}
