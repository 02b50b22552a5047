// One process of showtell's side of the step benchmark: reads a scenario from its arguments, prints one line of JSON.
import { EngineThread } from '@showtell/worker/engine/engine-thread.js';
import { random } from '@showtell/shared/random.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import { featuresOf, parametersOf } from '@showtell/shared/model/parameters.js';
import { allocateSegments, layOut, tensorView } from '@showtell/shared/tensors/layout.js';
import { allocateShared } from '@showtell/shared/tensors/shared-memory.js';

const {
  engine: engineName,
  kind,
  precision,
  threads,
  steps,
  warmup,
  B,
  T,
  S,
  name,
  depthMultiplier,
  decoder,
} = JSON.parse(process.argv[2]);
const encoder = { name, depthMultiplier, imageSize: S, batchNormEpsilon: 0.001 };
const { embedding: E, units: U, vocabulary: V } = decoder;
const F = featuresOf(encoder);

const specs = parametersOf({ encoder, decoder: { ...decoder, initScale: 0.08 } });
const layout = layOut(specs);
const parameters = allocateSegments(layout);
for (const spec of specs) initializeParameter(1, spec, tensorView(parameters, layout.entry(spec.name)));

const shared = (size) => new Float32Array(allocateShared(size * 4), 0, size);
const stream = random(1, 'bench');
const images = kind === 'features' ? shared(0) : stream.fillUniform(shared(B * S * S * 3), -1, 1);
const drop = (size, keep) => shared(size).map(() => (stream.float() < keep ? 1 / keep : 0));
const lengths = Array.from({ length: B }, (_, b) => (b === 0 ? T : T / 2 + stream.integer(T / 2 + 1)));
const captions = {
  B,
  T,
  inputs: new Int32Array(B * T).map((_, i) => (i % T < lengths[Math.floor(i / T)] ? stream.integer(V) : 0)),
  targets: new Int32Array(B * T).map(() => stream.integer(V)),
  mask: new Float32Array(B * T).map((_, i) => (i % T < lengths[Math.floor(i / T)] ? 1 : 0)),
  dropout: { inputs: drop((T + 1) * B * E, 0.7), outputs: drop(T * B * U, 0.7) },
};
const gradients = allocateSegments(layout);
const into = { ...gradients, embeddingRows: shared(B * T * E) };

const engine = await EngineThread.open(engineName, {
  model: { encoder, decoder },
  precision,
  threads,
  device: 'cpu',
  featureBatch: B,
  decodeBatch: 24,
});
await engine.setParameters(parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
const cached = stream.fillUniform(new Float32Array(B * F), 0, 1);
const featureDropout = drop(B * F, 0.8);

async function step() {
  if (kind === 'joint') return engine.gradientStep({ ...captions, phase: 'joint', images, featureDropout }, into);
  const features = kind === 'frozen' ? await engine.features(images, B) : cached;
  return engine.gradientStep({ ...captions, phase: 'decoder-only', features }, into);
}

const times = [];
for (let i = 0; i < warmup + steps; i++) {
  const began = performance.now();
  await step();
  times.push(performance.now() - began);
}
const peak = process.resourceUsage().maxRSS / 1024;
await engine.close();
console.log(JSON.stringify({ times: times.slice(warmup), peak }));
