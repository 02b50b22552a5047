import type { NumberedSet } from './number-tokens.js';
import { pairHash, placesFor } from './pair-numbers.js';

/** The longest n-grams that BLEU and CIDEr count. */
export const longestNgram = 4;

/**
 * How often each caption of a set has each of its n-grams. Equal n-grams of one picture's captions have one number, which
 * no other picture has: numbers rise from picture to picture and within it from single words to the longest.
 */
export interface NgramCounts {
  /**
   * The numbers of a picture's n-grams of an order (0 for single words) reach from `firsts[picture * longestNgram + order]`
   * to the value after that.
   */
  readonly firsts: Int32Array;
  /** Of each n-gram, the one without its last word; 0, which is no n-gram, for a single word. */
  readonly prefixes: Int32Array;
  /** Of each n-gram, its last word. */
  readonly lastWords: Int32Array;
  /** The different n-grams of each caption, list after list as {@link listOf} has them. */
  readonly ids: Int32Array;
  /** How often the caption has the n-gram at the same place of {@link ids}. */
  readonly times: Int32Array;
  /** List `i` reaches from place `starts[i]` to `starts[i + 1]`. */
  readonly starts: Int32Array;
}

/** The list of a picture's first caption of an order of n-grams; those of its other captions come next. */
export function firstListOf({ firsts }: NumberedSet, picture: number, order: number): number {
  const [first, end] = [firsts[picture] as number, firsts[picture + 1] as number];
  return first * longestNgram + order * (end - first);
}

/** Counts the n-grams of one to {@link longestNgram} words of a set of captions. */
export function countNgrams(set: NumberedSet): NgramCounts {
  const { pictures, firsts: captions, words } = set;
  const found = new PictureNgrams(words.items.length, mostWords(set));
  const firsts = new Int32Array(pictures * longestNgram + 1);
  const ids = new Int32Array(longestNgram * words.items.length);
  const times = new Int32Array(ids.length);
  const starts = new Int32Array(longestNgram * (words.starts.length - 1) + 1);
  /** Of the n-grams that begin at each word of a picture, the one of the order before. */
  const prefixes = new Int32Array(mostWords(set));
  /** Of each n-gram of a picture, where the caption that had it last has it. */
  const places = new Int32Array(longestNgram * mostWords(set));
  let list = 0;
  let end = 0;
  for (let picture = 0; picture < pictures; picture++) {
    const [first, last] = [captions[picture] as number, captions[picture + 1] as number];
    const [firstWord, endWord] = [words.starts[first] as number, words.starts[last] as number];
    const firstNgram = found.beginPicture();
    prefixes.fill(0, 0, endWord - firstWord);
    for (let order = 0; order < longestNgram; order++) {
      firsts[picture * longestNgram + order] = found.end;
      for (let caption = first; caption < last; caption++) {
        const begin = (starts[list++] = end);
        const endCaption = (words.starts[caption + 1] as number) - order;
        for (let at = words.starts[caption] as number; at < endCaption; at++) {
          const id = found.number(prefixes[at - firstWord] as number, words.items[at + order] as number);
          prefixes[at - firstWord] = id;
          let place = places[id - firstNgram] as number;
          // What is noted may be of another caption.
          if (place < begin || ids[place] !== id) {
            place = places[id - firstNgram] = end++;
            ids[place] = id;
          }
          times[place] = (times[place] as number) + 1;
        }
      }
    }
  }
  starts[list] = end;
  firsts[pictures * longestNgram] = found.end;
  return {
    firsts,
    prefixes: found.prefixes,
    lastWords: found.lastWords,
    ids: ids.subarray(0, end),
    times: times.subarray(0, end),
    starts,
  };
}

/** Words of the picture that has the most, all its captions together. */
function mostWords({ pictures, firsts, words }: NumberedSet): number {
  let most = 0;
  for (let picture = 0; picture < pictures; picture++) {
    const [begin, end] = [firsts[picture] as number, firsts[picture + 1] as number];
    most = Math.max(most, (words.starts[end] as number) - (words.starts[begin] as number));
  }
  return most;
}

/**
 * Numbers one picture's n-grams after another's, from 1 on: a hash table with open addressing that is small enough for the
 * processor's nearest cache, since it has room for one picture's only. What it holds of pictures before counts as free.
 */
class PictureNgrams {
  readonly prefixes: Int32Array;
  readonly lastWords: Int32Array;
  end = 1;
  #first = 1;
  readonly #table: Int32Array;
  readonly #mask: number;

  /**
   * @param words of the set
   * @param ofPicture words of one picture at most
   */
  constructor(words: number, ofPicture: number) {
    this.prefixes = new Int32Array(longestNgram * words + 1);
    this.lastWords = new Int32Array(longestNgram * words + 1);
    const places = placesFor(longestNgram * ofPicture);
    this.#table = new Int32Array(places);
    this.#mask = places - 1;
  }

  /** @returns the number that the picture's first n-gram will have */
  beginPicture(): number {
    return (this.#first = this.end);
  }

  number(prefix: number, lastWord: number): number {
    let place = pairHash(prefix, lastWord) & this.#mask;
    for (;;) {
      const id = this.#table[place] as number;
      if (id < this.#first) break;
      if (this.prefixes[id] === prefix && this.lastWords[id] === lastWord) return id;
      place = (place + 1) & this.#mask;
    }
    const id = this.end++;
    this.#table[place] = id;
    this.prefixes[id] = prefix;
    this.lastWords[id] = lastWord;
    return id;
  }
}

/** The most n-grams that one picture has: what an array for one picture's after another's needs. */
export function mostNgrams({ firsts }: NgramCounts): number {
  let most = 0;
  for (let first = 0; first + longestNgram < firsts.length; first += longestNgram)
    most = Math.max(most, (firsts[first + longestNgram] as number) - (firsts[first] as number));
  return most;
}
