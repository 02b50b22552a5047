/** What a client has left. */
interface Bucket {
  tokens: number;
  /** When they were counted, in seconds. */
  at: number;
}

/** Clients remembered; beyond it those that have been quiet longest are forgotten. */
const mostClients = 10_000;

/** So many requests a second from each client, and twice as many at once (a token bucket). */
export class RateLimit {
  readonly #buckets = new Map<string, Bucket>();
  readonly #burst: number;

  /** @param rate requests a second; 0: no limit */
  constructor(readonly rate: number) {
    this.#burst = Math.max(1, Math.ceil(2 * rate));
  }

  /**
   * @param now a clock in seconds that never goes back
   * @returns 0 when the request may be taken, otherwise seconds until one may be
   */
  take(client: string, now: number): number {
    if (this.rate === 0) return 0;
    const { tokens, at } = this.#buckets.get(client) ?? { tokens: this.#burst, at: now };
    const left = Math.min(this.#burst, tokens + (now - at) * this.rate);
    // Entered anew, so that the map's order is that of last use.
    this.#buckets.delete(client);
    this.#buckets.set(client, { tokens: left >= 1 ? left - 1 : left, at: now });
    for (const quiet of this.#buckets.keys()) {
      if (this.#buckets.size <= mostClients) break;
      this.#buckets.delete(quiet);
    }
    return left >= 1 ? 0 : (1 - left) / this.rate;
  }
}
