import type { Engine } from '../engine/engine.js';
import type { PictureKey } from '../input/feature-cache.js';
import type { PreparedUnit } from '../input/prepare-unit.js';

/**
 * Features of all of a unit's pictures, `[B, F]`: those found in the cache as they are, the others by the encoder.
 * @param keep told the new ones
 */
export async function featuresOfUnit(
  engine: Engine,
  unit: PreparedUnit,
  F: number,
  keep: (pictures: readonly PictureKey[], features: Float32Array) => void,
): Promise<Float32Array> {
  if (unit.imageOf.length === 0) return unit.features;
  const fresh = await engine.features(unit.images, unit.imageOf.length);
  for (const [i, b] of unit.imageOf.entries()) unit.features.set(fresh.subarray(i * F, (i + 1) * F), b * F);
  keep(
    unit.imageOf.map((b) => unit.pictureKeys[b] as PictureKey),
    fresh,
  );
  return unit.features;
}
