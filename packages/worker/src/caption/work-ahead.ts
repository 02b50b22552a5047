/**
 * Begins work on up to `depth` items ahead of the one that is taken, and yields results in the items' order.
 * @param work which does not throw: a rejection of an item far ahead would go unhandled
 */
export async function* workAhead<T, R>(
  items: AsyncIterable<T>,
  depth: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R, void, undefined> {
  const begun: Promise<R>[] = [];
  for await (const item of items) {
    begun.push(work(item));
    if (begun.length >= depth) yield begun.shift() as Promise<R>;
  }
  yield* begun;
}
