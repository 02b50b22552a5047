import { PairIds } from './pair-ids.js';

/** One picture to score: the caption made for it and the captions people wrote, all tokenised. */
export interface ScoredCaption {
  readonly candidate: readonly string[];
  readonly references: readonly (readonly string[])[];
}

/** The longest n-grams that BLEU and CIDEr count. */
export const longestNgram = 4;

/** How often a caption has each of its n-grams. */
export interface NgramCounts {
  /** Words of the caption. */
  readonly words: number;
  /** Its different n-grams by number: all single words, then all bigrams, and so on. */
  readonly ids: Int32Array;
  /** How often the n-gram at the same place of {@link ids} occurs. */
  readonly times: Int32Array;
  /** Where each order's n-grams end in {@link ids}, shortest first. */
  readonly ends: readonly number[];
}

export interface CountedCaption {
  readonly candidate: NgramCounts;
  readonly references: readonly NgramCounts[];
}

/** A set of captions in which equal n-grams have one number. */
export interface CountedSet {
  readonly captions: readonly CountedCaption[];
  /** All numbers of n-grams are below it. */
  readonly ngrams: number;
}

/**
 * White space as Python's `str.split()` sees it. pycocoevalcap's BLEU and CIDEr split a tokenised caption with it, so the
 * no-break space that the tokeniser leaves inside `2 1/2` parts words there, though not in ROUGE-L.
 */
const pythonSpace = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;

/** Counts the n-grams of one to {@link longestNgram} words of a set of captions. */
export function countNgrams(captions: readonly ScoredCaption[]): CountedSet {
  const counter = new NgramCounter();
  const counted = captions.map(({ candidate, references }) => ({
    candidate: counter.count(candidate),
    references: references.map((reference) => counter.count(reference)),
  }));
  return { captions: counted, ngrams: counter.end };
}

class NgramCounter {
  /** A word alone is the pair of nothing (0) and it, a longer n-gram that of all before its last word and that. */
  readonly #ids = new PairIds();
  readonly #words = new Map<string, number>();
  /** The words of each token, by number: nearly always one. */
  readonly #tokens = new Map<string, readonly number[]>();
  /** Of each n-gram, where in the list of the caption that had it last it stands. */
  #place = new Int32Array(1 << 12);

  get end(): number {
    return this.#ids.end;
  }

  count(tokens: readonly string[]): NgramCounts {
    const words: number[] = [];
    for (const token of tokens) for (const word of this.#wordsOf(token)) words.push(word);
    const most = longestNgram * words.length;
    const ids = new Int32Array(most);
    const times = new Int32Array(most);
    const prefixes = new Int32Array(words.length);
    const ends: number[] = [];
    let length = 0;
    for (let order = 1; order <= longestNgram; order++) {
      for (let start = 0; start + order <= words.length; start++) {
        const id = this.#ids.of(prefixes[start] as number, words[start + order - 1] as number);
        prefixes[start] = id;
        if (id >= this.#place.length) this.#makeRoom();
        // The place may be of another caption: it counts when this one has the n-gram there.
        let place = this.#place[id] as number;
        if (place >= length || ids[place] !== id) {
          place = length++;
          this.#place[id] = place;
          ids[place] = id;
        }
        times[place] = (times[place] as number) + 1;
      }
      ends.push(length);
    }
    return { words: words.length, ids: ids.subarray(0, length), times: times.subarray(0, length), ends };
  }

  #wordsOf(token: string): readonly number[] {
    let words = this.#tokens.get(token);
    if (words === undefined) {
      words = token
        .split(pythonSpace)
        .filter((word) => word !== '')
        .map((word) => this.#wordId(word));
      this.#tokens.set(token, words);
    }
    return words;
  }

  #wordId(word: string): number {
    let id = this.#words.get(word);
    if (id === undefined) this.#words.set(word, (id = this.#words.size));
    return id;
  }

  #makeRoom(): void {
    const places = this.#place;
    this.#place = new Int32Array(places.length * 4);
    this.#place.set(places);
  }
}
