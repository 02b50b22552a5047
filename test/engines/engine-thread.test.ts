import { createHash } from 'node:crypto';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { EngineThread } from '@showtell/worker/engine/engine-thread.js';
import { haveTensorflow } from '../support/tensorflow.js';
import { B, smallBatch, smallGradients, smallOptions, smallParameters } from '../support/small-model.js';

const first = { decoder: 0, embedding: 0, encoder: 0, statistics: 0 };

async function stepHash(engine: EngineThread): Promise<string> {
  const into = smallGradients();
  const { lossSum } = await engine.gradientStep(smallBatch('joint'), into);
  const digest = createHash('sha256').update(String(lossSum));
  for (const values of Object.values(into)) digest.update(values);
  return digest.digest('hex');
}

describe.skipIf(!haveTensorflow)("the engine's thread (skipped where the engine is not set up)", () => {
  it('computes in shared memory while its owner stays awake', async () => {
    const engine = await EngineThread.open('tensorflow', smallOptions);
    expect(engine.fingerprint).toMatchObject({ engine: 'tensorflow', threads: 1, precision: 'float32' });
    await engine.setParameters(smallParameters(), first);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const began = performance.now();
    const [hash, again, features] = await Promise.all([
      stepHash(engine),
      stepHash(engine),
      engine.features(smallBatch('joint').images, B),
    ]);
    const took = performance.now() - began;
    delay.disable();
    expect(again).toBe(hash);
    expect(features.some((value) => value > 0)).toBe(true);
    // Recording and compiling alone take longer than any pause the owner may see.
    expect(delay.max / 1e6).toBeLessThan(Math.max(took / 2, 250));

    const script = fileURLToPath(new URL('../support/engine-hash-process.mjs', import.meta.url));
    const separate = fork(script, { serialization: 'advanced' });
    const plain = (named: object) =>
      Object.fromEntries(Object.entries(named).map(([name, values]) => [name, (values as Float32Array).slice()]));
    separate.send({
      options: smallOptions,
      parameters: plain(smallParameters()),
      batch: smallBatch('joint'),
      into: plain(smallGradients()),
    });
    const [fromProcess] = (await once(separate, 'message')) as [string];
    expect(fromProcess).toBe(hash);
    await engine.close();
    await expect(engine.memory()).rejects.toThrow(/closed/);
  }, 120_000);

  it('hands errors over with their code, and goes on', async () => {
    const engine = await EngineThread.open('tensorflow', smallOptions);
    await expect(engine.features(smallBatch('joint').images, B)).rejects.toThrow(/no parameters/);
    await engine.setParameters(smallParameters(), first);
    const batch = smallBatch('decoder-only');
    const targets = batch.targets.map(() => 1000);
    await expect(engine.gradientStep({ ...batch, targets }, smallGradients())).rejects.toMatchObject({
      code: 'engine/failed',
    });
    expect((await engine.gradientStep(batch, smallGradients())).tokens).toBe(10);
    const own = { ...smallGradients(), decoder: new Float32Array(4) };
    expect(() => engine.gradientStep(batch, own)).toThrow(/shared memory/);
    await engine.close();
    await engine.close();
  }, 60_000);
});
