/**
 * The distinct words of a batch, ascending, and for each given word its place among them. A step is fed those rows of
 * `seq_embedding/map` as its table, so its gradient is those rows alone, summed per word.
 */
export function distinctRows(ids: Int32Array): { readonly words: Int32Array; readonly rows: Int32Array } {
  const words = Int32Array.from(new Set(ids)).sort();
  const places = new Map(Array.from(words, (word, place) => [word, place]));
  return { words, rows: ids.map((id) => places.get(id) ?? 0) };
}
