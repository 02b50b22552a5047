// A worker of the exchange benchmark: a real process that fills gradients, pushes them and pulls the next version.
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { SessionToken } from '@showtell/shared/rpc/session-token.js';
import { allocateSegments, layOut } from '@showtell/shared/tensors/layout.js';
import { ParameterClient } from '@showtell/worker/parameters/client.js';

const { address, specs, index, wire, sharedMemory, shards, token, rows, width } = JSON.parse(process.argv[2]);
const layout = layOut(specs);
const service = connectParameters(address);
const links = shards.map(({ address: of, sharedMemory: directory, sharedMemoryNonce: nonce }) => ({
  service: connectParameters(of, { session: new SessionToken(token) }),
  sharedMemory: directory === '' ? null : { directory, nonce },
}));
const client = await ParameterClient.open({ service, layout, worker: `w${index}`, wire, sharedMemory, shards: links });
const gradient = allocateSegments(layout);
for (const values of Object.values(gradient)) values.fill(1e-3);
const numbers = Array.from({ length: rows }, (_, i) => i * 7);
const embeddingRows = rows === 0 ? null : { numbers, values: new Float32Array(rows * width).fill(1e-3) };
const { embedding, ...others } = gradient;
const dense = rows === 0 ? gradient : others;

/** Versions as the session announces them. */
const waiting = [];
let newest = null;
const session = service.session();
session.on('data', ({ message }) => {
  if (message?.$case !== 'version') return;
  newest = message.value;
  for (const resolve of waiting.splice(0)) resolve();
});
session.on('error', () => undefined);
session.write({
  message: {
    $case: 'hello',
    value: {
      worker: `w${index}`,
      pid: process.pid,
      host: '',
      version: '',
      jobSha256: '',
      datasetDigest: '',
      engine: '',
      instance: '',
    },
  },
});
while (newest === null) await new Promise((resolve) => waiting.push(resolve));
await client.pull(newest);

const now = () => Number(process.hrtime.bigint()) / 1e6;
process.on('message', async () => {
  const version = newest;
  const { id, phase } = version;
  // The gradient is written anew, as a step does, so that it is in this process's caches as after one.
  for (const values of Object.values(dense)) values.fill(1e-3);
  const computed = now();
  const unit = {
    run: 'bench',
    generation: id.generation,
    lineage: id.lineage,
    step: id.step,
    index,
    attempt: 1,
    evaluation: false,
  };
  const pushed = client.push({
    unit,
    version: id,
    phase,
    examples: 4,
    tokens: 40,
    lossSum: 100,
    skipped: [],
    computeSeconds: 0,
    dataSeconds: 0,
    dense,
    embeddingRows,
  });
  while (newest === version) await new Promise((resolve) => waiting.push(resolve));
  await client.pull(newest);
  const held = now();
  await pushed;
  process.send({ computed, held });
});
process.send('ready');
