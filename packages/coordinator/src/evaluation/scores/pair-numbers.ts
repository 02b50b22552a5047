/** Numbers a place takes in the table: left, right, number and one unused, so that a place never straddles a cache line. */
const stride = 4;

/**
 * A number for each pair of whole numbers in [0, 2^31), from 0 on in the order in which pairs come: a hash table with open
 * addressing in one typed array, for which a `Map` of joined strings is several times as slow.
 */
export class PairNumbers {
  readonly #mask: number;
  /** Numbers are kept plus one: 0 marks a free place. */
  readonly #table: Int32Array;
  #end = 0;

  /** @param most pairs there can be */
  constructor(most: number) {
    const places = placesFor(most);
    this.#mask = places - 1;
    this.#table = new Int32Array(places * stride);
  }

  of(left: number, right: number): number {
    const table = this.#table;
    for (let place = pairHash(left, right) & this.#mask; ; place = (place + 1) & this.#mask) {
      const at = place * stride;
      const known = table[at + 2] as number;
      if (known === 0) {
        table[at] = left;
        table[at + 1] = right;
        table[at + 2] = ++this.#end;
        return this.#end - 1;
      }
      if (table[at] === left && table[at + 1] === right) return known - 1;
    }
  }
}

/** Places of a hash table that is at most half full with so many entries: a power of two. */
export function placesFor(entries: number): number {
  let places = 1;
  while (places < 2 * entries + 1) places *= 2;
  return places;
}

/** A whole number in which all bits of both numbers count; its lowest bits are a place in a hash table. */
export function pairHash(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}
