import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import type { EngineFingerprint } from './engine/engine.js';
import type { CachePlace } from './input/input-thread.js';
import type { InputRules } from './input/prepare-unit.js';

/** All that a feature depends on besides its picture. */
export interface FeatureOrigin {
  /** Of the encoder's weights and moving averages. */
  readonly encoderSha256: string;
  /** Of the feature graph's canary. */
  readonly canarySha256: string;
  readonly fingerprint: EngineFingerprint;
  readonly rules: Pick<InputRules, 'imageSize' | 'resized'>;
}

/** Where features of one origin are kept, shared by all runs and workers of a user that agree in it. */
export function featurePlace(kind: 'memory' | 'disk', origin: FeatureOrigin): CachePlace {
  const { encoderSha256, canarySha256, fingerprint, rules } = origin;
  const text = [encoderSha256, canarySha256, fingerprint, rules.imageSize, rules.resized, 'DecodeJpeg, central crop'];
  const key = createHash('sha256').update(JSON.stringify(text)).digest('hex');
  return kind === 'memory' ? { kind, key } : { kind, key, folder: join(cacheFolder(), 'features') };
}
