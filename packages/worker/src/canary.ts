import { createHash } from 'node:crypto';
import { ShowtellError } from '@showtell/shared/errors.js';
import { random } from '@showtell/shared/random.js';
import {
  tensorView,
  type LayoutEntry,
  type ParameterLayout,
  type SegmentName,
  type Segments,
} from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';
import type { CaptionBatch, Engine, GradientBuffers, TrainingPhase } from './engine/engine.js';
import { drawDropout, type DropoutRules } from './input/batch.js';

/** A graph whose arithmetic reaches the parameters or a decision, with the shapes that choose it. */
export type CanaryGraph =
  | { readonly kind: 'features' }
  | {
      readonly kind: 'train';
      readonly phase: TrainingPhase;
      readonly B: number;
      readonly T: number;
      readonly tokens: number;
    }
  | { readonly kind: 'evaluate'; readonly B: number; readonly T: number }
  | { readonly kind: 'decode'; readonly k: number };

export interface CanaryParts {
  readonly engine: Engine;
  readonly layout: ParameterLayout;
  readonly dropout: DropoutRules;
  readonly vocabulary: number;
  readonly imageSize: number;
  /** Asks the run whether this is its hash. */
  readonly check: (graph: string, sha256: string) => Promise<{ accepted: boolean; expectedSha256: string }>;
}

/** Counted words that choose a graph, see captionPositions. */
const tokensMultiple = 32;

/**
 * Computes each graph once with parameters and a batch that everyone can make, and compares the hash with the run's:
 * kernels differ by processor and build, and a worker whose numbers differ must not take part.
 */
export class Canary {
  private readonly passed = new Map<string, string>();

  constructor(private readonly parts: CanaryParts) {}

  /**
   * Checks a graph at its first use; `into` is for training graphs. The engine then has the canary's parameters, not the ones before.
   * @returns whether anything was computed
   * @throws ShowtellError `worker/canary-refused`
   */
  async check(graph: CanaryGraph, into: GradientBuffers | null): Promise<boolean> {
    const name = nameOf(graph);
    if (this.passed.has(name)) return false;
    const sha256 = await this.compute(graph, into);
    const { accepted, expectedSha256 } = await this.parts.check(name, sha256);
    if (!accepted) {
      const { fingerprint } = this.parts.engine;
      const engine = `${fingerprint.engine} ${fingerprint.version} (${fingerprint.instructions.join(' ')})`;
      throw new ShowtellError('worker/canary-refused', { graph: name, got: sha256, expected: expectedSha256, engine });
    }
    this.passed.set(name, sha256);
    return true;
  }

  /** The hash of a graph that passed. */
  hashOf(graph: CanaryGraph): string {
    return this.passed.get(nameOf(graph)) ?? '';
  }

  private async compute(graph: CanaryGraph, into: GradientBuffers | null): Promise<string> {
    const { engine, layout, dropout, imageSize } = this.parts;
    const withEncoder = graph.kind === 'features' || (graph.kind === 'train' && graph.phase === 'joint');
    await engine.setParameters(canaryParameters(layout, withEncoder), unlikeAnyVersion);
    const hash = createHash('sha256');
    const note = (values: Float32Array | Int32Array | undefined): void => {
      if (values !== undefined) hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    };
    const pictures = (n: number): Float32Array =>
      random(0, 'canary', 'images').fillUniform(new Float32Array(n * imageSize * imageSize * 3), -1, 1);
    const features = (n: number): Float32Array =>
      random(0, 'canary', 'features').fillUniform(new Float32Array(n * dropout.features), 0, 1);
    switch (graph.kind) {
      case 'features':
        note(await engine.features(pictures(1), 1));
        break;
      case 'train': {
        if (into === null) throw new TypeError("a training graph's canary needs somewhere to put its gradient");
        const { B, T, phase } = graph;
        const captions = this.captions(B, T, roundTokens(graph));
        const factors = drawDropout(
          0,
          Array.from({ length: B }, (_, b) => b),
          T,
          dropout,
        );
        const common = { ...captions, dropout: { inputs: factors.inputs, outputs: factors.outputs } };
        const { lossSum, words } = await engine.gradientStep(
          phase === 'joint'
            ? { ...common, phase, images: pictures(B), featureDropout: factors.features }
            : { ...common, phase, features: features(B) },
          into,
        );
        hash.update(String(lossSum));
        note(into.decoder);
        note(into.embeddingRows.subarray(0, words.length * dropout.embedding));
        if (phase === 'joint') {
          note(into.encoder);
          note(into.statistics);
        }
        break;
      }
      case 'evaluate': {
        const { B, T } = graph;
        const { lossSums } = await engine.evaluate({ ...this.captions(B, T, B * T), features: features(B) });
        note(lossSums);
        break;
      }
      case 'decode': {
        const state = await engine.decodeStart(features(1), 1);
        const { words, probabilities, c, h } = await engine.decodeStep(Int32Array.of(0), state, graph.k);
        for (const values of [words, probabilities, c, h]) note(values);
        break;
      }
      default:
        graph satisfies never;
    }
    return hash.digest('hex');
  }

  private captions(B: number, T: number, tokens: number): CaptionBatch {
    const stream = random(0, 'canary', 'captions', B, T);
    const draw = (): Int32Array => Int32Array.from({ length: B * T }, () => stream.integer(this.parts.vocabulary));
    const mask = Float32Array.from({ length: B * T }, (_, i) => (i < tokens ? 1 : 0));
    return { B, T, inputs: draw(), targets: draw(), mask };
  }
}

function roundTokens({ phase, B, T, tokens }: Extract<CanaryGraph, { kind: 'train' }>): number {
  return phase === 'joint' ? B * T : Math.min(Math.ceil(tokens / tokensMultiple) * tokensMultiple, B * T);
}

function nameOf(graph: CanaryGraph): string {
  switch (graph.kind) {
    case 'features':
      return 'features';
    case 'train':
      return `${graph.phase} ${graph.B}×${graph.T}, ${roundTokens(graph)} words`;
    case 'evaluate':
      return `evaluate ${graph.B}×${graph.T}`;
    case 'decode':
      return `decode ${graph.k}`;
  }
}

/** Versions count from 0. */
const unlikeAnyVersion: Readonly<Record<SegmentName, number>> = {
  decoder: -1,
  embedding: -1,
  encoder: -1,
  statistics: -1,
};

/** Parameters that keep a network's values within bounds, the same everywhere; the encoder's only where it is used. */
function canaryParameters(layout: ParameterLayout, withEncoder: boolean): Segments {
  const allocate = (segment: SegmentName): Float32Array => {
    const left = !withEncoder && (segment === 'encoder' || segment === 'statistics');
    const elements = left ? 0 : layout.elements[segment];
    return new Float32Array(allocateShared(elements * Float32Array.BYTES_PER_ELEMENT), 0, elements);
  };
  const segments: Segments = {
    decoder: allocate('decoder'),
    embedding: allocate('embedding'),
    encoder: allocate('encoder'),
    statistics: allocate('statistics'),
  };
  for (const entry of layout.entries) {
    if (segments[entry.segment].length === 0) continue;
    const { lo, hi } = rangeOf(entry);
    random(0, 'canary', entry.name).fillUniform(tensorView(segments, entry), lo, hi);
  }
  return segments;
}

function rangeOf({ name, segment, shape, size }: LayoutEntry): { lo: number; hi: number } {
  if (name.endsWith('moving_variance')) return { lo: 0.5, hi: 1.5 };
  if (segment !== 'encoder' || shape.length < 2) return { lo: -0.08, hi: 0.08 };
  // He's range: values neither die nor blow up through the layers.
  const limit = Math.sqrt((6 * (shape.at(-1) ?? 1)) / size);
  return { lo: -limit, hi: limit };
}
