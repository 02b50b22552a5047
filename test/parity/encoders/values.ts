import { readFileSync } from 'node:fs';
import type { EncoderName } from '@showtell/shared/model/parameters.js';

/** A norm, and a product with a direction: `probe` of formula.ts. */
export type Probe = readonly [norm: number, along: number];

/** Mean and root mean square of what a convolution puts out. */
type Spread = readonly [mean: number, rms: number];

interface Features {
  /** Of the first two images. */
  readonly first: string;
  readonly all: Probe;
}

/** What TensorFlow 2.15 and TF-Slim 1.1 gave for an encoder: generate.py. */
export interface SlimValues {
  /** The net at full width. */
  readonly table: {
    readonly native: number;
    readonly multiplyAdds: number;
    /** Scopes of its convolutions, in the order of their making; the lists of spreads below follow it. */
    readonly layers: readonly string[];
    /** In slim's order: whether im2txt's L2 applies; root mean square and largest of the first values. */
    readonly variables: readonly (readonly [
      name: string,
      shape: readonly number[],
      l2: boolean,
      rms: number,
      largest: number,
    ])[];
    /** The variables' shapes at another width. */
    readonly thin: { readonly multiplier: number; readonly shapes: readonly (readonly number[])[] };
    /** Of slim's own arg scope. */
    readonly norm: { readonly decay: number; readonly epsilon: number };
  };
  readonly shape: {
    readonly B: number;
    readonly T: number;
    readonly size: number;
    readonly multiplier: number;
    readonly E: number;
    readonly U: number;
    readonly V: number;
    readonly lengths: readonly number[];
    readonly keep: number;
    readonly featureKeep: number;
    readonly decay: number;
  };
  readonly joint: {
    readonly features: Features;
    readonly loss: number;
    readonly layers: readonly Spread[];
    /** Of the trained variables, in slim's order, the decoder's last. */
    readonly gradients: readonly Probe[];
    /** Moving averages after the step, in slim's order. */
    readonly moving: readonly Probe[];
  };
  readonly decoderOnly: {
    readonly loss: number;
    readonly trained: readonly string[];
    readonly gradients: readonly Probe[];
  };
  readonly evaluation: {
    readonly features: Features;
    readonly layers: readonly Spread[];
    readonly sum: number;
    readonly probabilities: string;
  };
}

export function slimValues(encoder: EncoderName): SlimValues {
  return JSON.parse(readFileSync(new URL(`${encoder}.json`, import.meta.url), 'utf8')) as SlimValues;
}

/** Little-endian float32 as generate.py packs them. */
export function floats(base64: string): Float32Array {
  return new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);
}
