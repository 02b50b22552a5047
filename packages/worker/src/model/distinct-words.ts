export interface DistinctWords {
  /** [N]: each word that occurs, once, in order of first occurrence; the rest zero. */
  readonly words: Int32Array;
  /** How many of `words` mean something. */
  readonly count: number;
  /** [N]: for each of the given words its place in `words`. */
  readonly rows: Int32Array;
}

/**
 * The distinct words of a batch. A step given those rows of `seq_embedding/map` instead of the table, and `rows` instead
 * of word ids, computes the table's gradient as just these rows, summed per word: the first `count` of N.
 * @param ids [N]
 */
export function distinctWords(ids: Int32Array): DistinctWords {
  const places = new Map<number, number>();
  const words = new Int32Array(ids.length);
  const rows = new Int32Array(ids.length);
  ids.forEach((id, i) => {
    let place = places.get(id);
    if (place === undefined) {
      place = places.size;
      words[place] = id;
      places.set(id, place);
    }
    rows[i] = place;
  });
  return { words, count: places.size, rows };
}
