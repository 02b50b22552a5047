import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { readVocabulary } from '@showtell/shared/data/vocabulary.js';
import type { Job, JobInput } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { decoderNames } from '@showtell/shared/model/decoder.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import type { ParameterSpec } from '@showtell/shared/model/parameters.js';
import { random } from '@showtell/shared/random.js';
import { allocateSegments, tensorView } from '@showtell/shared/tensors/layout.js';

const words = ['<S>', '</S>', 'a', 'red', 'blue', 'green', 'circle', 'square', 'and', 'on', 'the', 'left', 'big', '.'];

/** A narrow encoder of small pictures and few words: a caption takes milliseconds. */
const smallJob = {
  name: 'captions',
  model: {
    encoder: { depthMultiplier: 0.1, imageSize: 75 },
    decoder: { embedding: 16, units: 16, vocabulary: 16, initScale: 1 },
  },
  augmentation: { enabled: false, resize: 0 },
  evaluation: { maxLength: 8 },
  engine: { threads: 1 },
} as const satisfies JobInput;

/**
 * A run's folder with one checkpoint of drawn values: nobody trained it, but its captions depend on the picture, so it
 * can be captioned with in seconds.
 * @param change gives some of the tensors other values
 */
export async function writeCaptionCheckpoint(
  run: string,
  input: JobInput = smallJob,
  change: (spec: ParameterSpec, values: Float32Array) => void = () => undefined,
): Promise<{ run: string; job: Job }> {
  const job = parseJob(input);
  const { specs, layout } = modelParameters(job);
  const parameters = allocateSegments(layout);
  for (const spec of specs) {
    const values = initializeParameter(7, spec, tensorView(parameters, layout.entry(spec.name)));
    const stream = random(7, 'moving', spec.name);
    if (spec.name.endsWith('moving_mean')) stream.fillUniform(values, -0.1, 0.1);
    if (spec.name.endsWith('moving_variance')) stream.fillUniform(values, 0.6, 1.2);
    change(spec, values);
  }
  // Often enough the end is what comes next.
  tensorView(parameters, layout.entry(decoderNames.logitsBias))[words.indexOf('</S>')] = 1;
  await using store = CheckpointStore.open(join(run, 'checkpoints'));
  const file = join(run, 'word_counts.txt');
  writeFileSync(file, words.map((word, i) => `${word} ${100 - i}`).join('\n'));
  const { sha256 } = await readVocabulary(file);
  const zeros = '0'.repeat(64);
  const about = {
    run: 'captions',
    step: 1,
    phase: 'decoder-only',
    switchedAt: null,
    phaseHistory: [{ phase: 'decoder-only', fromStep: 0 }],
    lineage: 0,
    generation: 1,
    examples: 0,
    job: job as unknown as Record<string, unknown>,
    jobSha256: zeros,
    datasetDigest: zeros,
    vocabularySha256: sha256,
    canaries: {},
    metrics: {},
  } as const;
  await store.save({ about: { ...about, phaseHistory: [...about.phaseHistory] }, layout, parameters, optimizer: null });
  return { run, job };
}
