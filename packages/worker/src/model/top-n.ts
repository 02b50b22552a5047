/**
 * The n highest scores pushed so far, kept as im2txt's TopN keeps them: a binary heap, lowest first, by the steps of
 * Python's heapq. Among equal scores its order decides which stay and which are continued first, so it is kept to the
 * letter.
 */
export class TopN<C extends { readonly score: number }> {
  readonly #heap: C[] = [];

  constructor(readonly n: number) {}

  get size(): number {
    return this.#heap.length;
  }

  /** In the heap's order. */
  get items(): readonly C[] {
    return this.#heap;
  }

  /** Best first; equals in the heap's order. */
  get sorted(): C[] {
    return [...this.#heap].sort((a, b) => b.score - a.score);
  }

  push(item: C): this {
    const heap = this.#heap;
    const [lowest] = heap;
    if (heap.length < this.n) {
      heap.push(item);
      this.#rise(item, heap.length - 1);
    } else if (lowest !== undefined && lowest.score < item.score) {
      this.#rise(item, this.#sink());
    }
    return this;
  }

  /** heapq's _siftdown: puts the item at `place` or above, where no parent's score is higher. */
  #rise(item: C, place: number): void {
    const heap = this.#heap;
    let at = place;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as C;
      if (!(item.score < parent.score)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = item;
  }

  /** heapq's _siftup: fills the lowest's place by the lower child, level by level. @returns the leaf that is left free */
  #sink(): number {
    const heap = this.#heap;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      const right = child + 1;
      const lower = right < heap.length && !((heap[child] as C).score < (heap[right] as C).score) ? right : child;
      heap[at] = heap[lower] as C;
      at = lower;
    }
    return at;
  }
}
