// Computes one joint step in a process of its own: told options, parameters and batch, it sends its hash.
import { createHash } from 'node:crypto';
import { EngineThread } from '@showtell/worker/engine/engine-thread.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';

const shared = (values) => {
  const copy = new Float32Array(allocateShared(values.byteLength), 0, values.length);
  copy.set(values);
  return copy;
};
const eachShared = (named) => Object.fromEntries(Object.entries(named).map(([name, values]) => [name, shared(values)]));

process.once('message', async ({ options, parameters, batch, into }) => {
  const engine = await EngineThread.open('tensorflow', options);
  await engine.setParameters(eachShared(parameters), { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
  const gradients = eachShared(into);
  const { lossSum } = await engine.gradientStep(batch, gradients);
  const digest = createHash('sha256').update(String(lossSum));
  for (const values of Object.values(gradients)) digest.update(values);
  await engine.close();
  process.send(digest.digest('hex'), () => process.disconnect());
});
