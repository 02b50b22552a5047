/** Numbers a place takes in the table: left, right, id and one unused, so that a place never straddles a cache line. */
const stride = 4;

/**
 * A number for each pair of whole numbers in [0, 2^31), from 1 on in the order in which pairs come: a hash table with open
 * addressing in one typed array, for which a `Map` of joined strings is several times as slow.
 */
export class PairIds {
  #mask = (1 << 12) - 1;
  /** An id of 0 marks a free place. */
  #table = new Int32Array((this.#mask + 1) * stride);
  #count = 0;

  /** One more than the largest id given. */
  get end(): number {
    return 1 + this.#count;
  }

  of(left: number, right: number): number {
    const at = this.#find(left, right);
    const known = this.#table[at + 2] as number;
    if (known !== 0) return known;
    const id = this.end;
    this.#put(at, left, right, id);
    this.#count++;
    if (this.#count * 2 > this.#mask) this.#grow();
    return id;
  }

  /** Where in the table a pair stands, or the free place where it belongs. */
  #find(left: number, right: number): number {
    const table = this.#table;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let place = (hash ^ (hash >>> 13)) & this.#mask;
    for (;;) {
      const at = place * stride;
      if (table[at + 2] === 0 || (table[at] === left && table[at + 1] === right)) return at;
      place = (place + 1) & this.#mask;
    }
  }

  #put(at: number, left: number, right: number, id: number): void {
    this.#table[at] = left;
    this.#table[at + 1] = right;
    this.#table[at + 2] = id;
  }

  #grow(): void {
    const old = this.#table;
    this.#mask = this.#mask * 4 + 3;
    this.#table = new Int32Array((this.#mask + 1) * stride);
    for (let at = 0; at < old.length; at += stride) {
      const [left, right, id] = [old[at] as number, old[at + 1] as number, old[at + 2] as number];
      if (id !== 0) this.#put(this.#find(left, right), left, right, id);
    }
  }
}
