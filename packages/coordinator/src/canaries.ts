import type { CheckCanaryRequest, CheckCanaryResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Journal } from './journal.js';

/** Far more than any job has: a graph is a kind of work, a phase and a caption length. */
const mostGraphs = 1_024;

/**
 * The hashes of canary gradients, one a graph: a worker whose arithmetic gives another one would change the run's bits
 * and is refused. The first worker that computes a graph sets its hash for the run's whole life.
 */
export class Canaries {
  private readonly hashes: Map<string, string>;

  constructor(
    private readonly journal: Journal,
    private readonly onRefused: (worker: string, graph: string) => void,
  ) {
    this.hashes = new Map(journal.of('canary').map(({ graph, sha256 }) => [graph, sha256]));
  }

  /** By graph, for the manifests. */
  get known(): ReadonlyMap<string, string> {
    return this.hashes;
  }

  /** The handler of `ParameterService.CheckCanary`. */
  check({ worker, graph, sha256 }: CheckCanaryRequest): CheckCanaryResponse {
    const expected = this.hashes.get(graph);
    if (expected === undefined) {
      // Made up: to keep them would fill the journal, to refuse them would keep out whoever has the next real one.
      if (this.hashes.size >= mostGraphs) return { accepted: true, expectedSha256: sha256 };
      this.journal.append({ type: 'canary', graph, sha256 });
      this.hashes.set(graph, sha256);
      return { accepted: true, expectedSha256: sha256 };
    }
    if (expected !== sha256) this.onRefused(worker, graph);
    return { accepted: expected === sha256, expectedSha256: expected };
  }
}
