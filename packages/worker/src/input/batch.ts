import { random } from '@showtell/shared/random.js';
import type { CaptionBatch } from '../engine/engine.js';

/** What a batch of captions depends on besides the captions. */
export interface CaptionRules {
  /** Lengths to pad to, rising; captions are cut at the last. */
  readonly lengths: readonly number[];
  /** Words the model knows; others are read as `unkId`. */
  readonly vocabulary: number;
  readonly unkId: number;
}

/**
 * Captions as the decoder reads them, im2txt's batch_with_dynamic_pad: read all words but the last, say all but the
 * first, the rest is padding that doesn't count. The padded length is the smallest of the rules' that holds the longest
 * caption, so that there are as many graphs as lengths.
 *
 * @param captions word ids from `<S>` to `</S>`, at least two each
 */
export function batchCaptions(captions: readonly Int32Array[], rules: CaptionRules): CaptionBatch {
  const B = captions.length;
  const last = rules.lengths.at(-1) ?? 0;
  const longest = captions.reduce((most, ids) => Math.max(most, ids.length - 1), 0);
  const T = rules.lengths.find((length) => length >= longest) ?? last;
  const inputs = new Int32Array(new SharedArrayBuffer(B * T * Int32Array.BYTES_PER_ELEMENT));
  const targets = new Int32Array(new SharedArrayBuffer(B * T * Int32Array.BYTES_PER_ELEMENT));
  const mask = new Float32Array(new SharedArrayBuffer(B * T * Float32Array.BYTES_PER_ELEMENT));
  const known = (id: number): number => (id >= 0 && id < rules.vocabulary ? id : rules.unkId);
  for (const [b, ids] of captions.entries()) {
    const words = Math.min(ids.length - 1, T);
    for (let t = 0; t < words; t++) {
      inputs[b * T + t] = known(ids[t] as number);
      targets[b * T + t] = known(ids[t + 1] as number);
      mask[b * T + t] = 1;
    }
  }
  return { B, T, inputs, targets, mask };
}

/** Factors of dropout, 0 or 1 ÷ keep; letters as in the engine's contract. */
export interface DropoutFactors {
  /** `[T + 1, B, E]` */
  readonly inputs: Float32Array;
  /** `[T, B, U]` */
  readonly outputs: Float32Array;
  /** `[B, F]` */
  readonly features: Float32Array;
}

export interface DropoutRules {
  readonly embedding: number;
  readonly units: number;
  readonly features: number;
  /** Share of LSTM inputs and outputs kept. */
  readonly keep: number;
  /** Share of pooled features kept. */
  readonly featureKeep: number;
}

/**
 * Draws a unit's dropout. Each example has streams of its own, named by the unit's seed and the example's place among
 * the unit's records, and they are drawn in the order of time: neither padding nor a skipped neighbour changes them.
 */
export function drawDropout(seed: number, places: readonly number[], T: number, rules: DropoutRules): DropoutFactors {
  const B = places.length;
  const { embedding: E, units: U, features: F } = rules;
  const inputs = sharedFloats((T + 1) * B * E);
  const outputs = sharedFloats(T * B * U);
  const features = sharedFloats(B * F);
  for (const [b, place] of places.entries()) {
    drawRows(seed, place, 'lstm-inputs', inputs, T + 1, B * E, b * E, E, rules.keep);
    drawRows(seed, place, 'lstm-outputs', outputs, T, B * U, b * U, U, rules.keep);
    drawRows(seed, place, 'features', features, 1, 0, b * F, F, rules.featureKeep);
  }
  return { inputs, outputs, features };
}

function drawRows(
  seed: number,
  place: number,
  name: string,
  into: Float32Array,
  rows: number,
  stride: number,
  start: number,
  length: number,
  keep: number,
): void {
  const stream = random(seed, 'example', place, name);
  const kept = 1 / keep;
  for (let row = 0; row < rows; row++) {
    const from = row * stride + start;
    for (let i = from; i < from + length; i++) into[i] = stream.float() < keep ? kept : 0;
  }
}

export function sharedFloats(length: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));
}
