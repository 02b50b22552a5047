/** One line of the benchmark: a figure of showtell, its peer's of the same run, and what the ratio should be. */
export interface BenchFigure {
  readonly name: string;
  /** In {@link unit}. */
  readonly ours: number;
  /** null where there is no peer to compare with. */
  readonly peer: number | null;
  /** ours ÷ peer. */
  readonly ratio: number | null;
  /** Largest ratio, or without a peer the largest figure, that is good enough; null: reported only. */
  readonly target: number | null;
  readonly unit: 'ms' | 's' | 'MiB' | 'images/s';
  /** What was run, for doing it by hand. */
  readonly command: string;
}
