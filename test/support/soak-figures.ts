/** Resident memory of one process at one time. */
export interface MemorySample {
  readonly name: string;
  readonly pid: number;
  readonly step: number;
  readonly bytes: number;
}

export interface MemoryGrowth {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  /** Megabytes in 10,000 steps. */
  readonly perTenThousand: number;
}

/** NaN for none. */
export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

/**
 * How each process grew after its first `warmUp` steps: between the medians of the first and the last fifth of what is
 * left. One that lived shorter than twice that tells nothing.
 */
export function memoryGrowth(samples: readonly MemorySample[], warmUp: number): MemoryGrowth[] {
  return [...grouped(samples).values()].flatMap((own) => {
    const born = own[0]?.step ?? 0;
    const warm = own.filter(({ step }) => step >= born + warmUp);
    const fifth = Math.floor(warm.length / 5);
    const [first, last] = [warm.slice(0, fifth), warm.slice(-fifth)];
    const [from, to] = [first, last].map((part) => medianOf(part.map(({ step }) => step))) as [number, number];
    if (fifth === 0 || to - from < warmUp / 2) return [];
    const [before, after] = [first, last].map((part) => medianOf(part.map(({ bytes }) => bytes))) as [number, number];
    const perTenThousand = Math.round((((after - before) / 1e6) * 10_000 * 100) / (to - from)) / 100;
    return [{ name: own[0]?.name ?? '', from, to, perTenThousand }];
  });
}

const key = ({ name, pid }: MemorySample): string => `${name} ${pid}`;

function grouped(samples: readonly MemorySample[]): Map<string, MemorySample[]> {
  const groups = new Map<string, MemorySample[]>();
  for (const sample of samples) {
    const group = groups.get(key(sample)) ?? [];
    group.push(sample);
    groups.set(key(sample), group);
  }
  return groups;
}
