import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { jobDigest, numericDifferences, numericFieldsOf } from '@showtell/shared/job/digest.js';
import { parseJob } from '@showtell/shared/job/load-job.js';

const plateau = { evaluations: 3, minImprovement: 0.001 };
const job = parseJob({ phases: { decoderOnly: { plateau }, joint: { decay: { factor: 0.5, everySteps: 10 } } } });

/** For each numeric field another value that the schema takes. */
const numeric: Readonly<Record<string, string>> = {
  seed: '2',
  'data.maxCorruptRecords': '1',
  'model.encoder.name': 'inception_v2',
  'model.encoder.depthMultiplier': '0.5',
  'model.encoder.minDepth': '8',
  'model.encoder.imageSize': '107',
  'model.encoder.initStddev': '0.1',
  'model.encoder.batchNormDecay': '0.9',
  'model.encoder.batchNormEpsilon': '0.01',
  'model.decoder.embedding': '64',
  'model.decoder.units': '64',
  'model.decoder.vocabulary': '300',
  'model.decoder.initScale': '0.1',
  'model.decoder.keep': '1',
  'batch.examples': '64',
  'batch.units': '8',
  'batch.captionLengths': '[12]',
  'augmentation.enabled': 'false',
  'augmentation.resize': '400',
  'optimizer.name': 'momentum',
  'optimizer.momentum': '0.5',
  'optimizer.decay': '0.5',
  'optimizer.beta1': '0.5',
  'optimizer.beta2': '0.5',
  'optimizer.epsilon': '0.5',
  'optimizer.initialAccumulator': '0.5',
  'optimizer.clip': '1',
  'phases.decoderOnly.learningRate': '1',
  'phases.decoderOnly.decay.factor': '0.25',
  'phases.decoderOnly.decay.everySteps': '9',
  'phases.decoderOnly.plateau.evaluations': '4',
  'phases.decoderOnly.plateau.minImprovement': '0.01',
  'phases.joint.learningRate': '1',
  'phases.joint.decay.factor': '0.25',
  'phases.joint.decay.everySteps': '9',
  'phases.joint.l2': '0',
  'phases.joint.featureKeep': '1',
  'phases.joint.guard.maxPerplexityRatio': 'null',
  'phases.joint.maxBleuDrop': 'null',
  'phases.joint.rollbackPatience': '3',
  'evaluation.everySteps': '10',
  'evaluation.perplexityExamples': '10',
  'evaluation.captionImages': '0',
  'evaluation.unitExamples': '8',
  'evaluation.sampleImages': '0',
  'evaluation.beam': '1',
  'evaluation.maxLength': '9',
  'evaluation.lengthNormalization': '1',
  'engine.precision': 'bfloat16',
  'engine.threads': '1',
  'engine.device': 'cuda',
  'wire.dtype': 'bfloat16',
};

/** One name is all it knows so far; and a group that is null, tried below. */
const withoutAlternative = ['engine.name', 'asynchronous'];

const operational: readonly string[] = [
  'name=other',
  'data.directory=/elsewhere',
  'checkpoints.everySteps=1',
  'checkpoints.keepLast=1',
  'checkpoints.keepBest=false',
  'cluster.lookAhead=1',
  'cluster.leaseSeconds=1',
  'cluster.stallSeconds=1',
  'cluster.stragglerFactor=2',
  'cluster.parameterThreads=1',
  'cluster.featureCache=off',
  'cluster.sharedMemory=false',
];

describe('jobDigest', () => {
  it.each(Object.entries(numeric))('changes with %s', (path, value) => {
    const other = parseJob(job, [`${path}=${value}`]);
    expect(jobDigest(other, null)).not.toBe(jobDigest(job, null));
    expect(numericDifferences(job, other).map((difference) => difference.split(':')[0])).toContain(path);
  });

  it('knows no numeric field that is not tried above', () => {
    expect([...numericFieldsOf(job).keys()].sort()).toEqual([...Object.keys(numeric), ...withoutAlternative].sort());
  });

  it.each(operational)('stays the same with %s', (override) => {
    const other = parseJob(job, [override]);
    expect(other).not.toEqual(job);
    expect(jobDigest(other, null)).toBe(jobDigest(job, null));
    expect(numericDifferences(job, other)).toEqual([]);
  });

  it("stays the same when the phases' lengths change, or the path of the same weights", () => {
    for (const override of [
      'phases.decoderOnly.steps=1',
      'phases.joint.steps=1',
      'model.encoder.weights=w.safetensors',
    ])
      expect(jobDigest(parseJob(job, [override]), null)).toBe(jobDigest(job, null));
  });

  it('leaves out fields that came later, at the value that changes nothing', () => {
    const later = ['asynchronous', 'model.encoder.minDepth', 'optimizer.initialAccumulator'];
    const fields = [...numericFieldsOf(job)].filter(([path]) => !later.includes(path));
    const text = JSON.stringify([...fields, ['encoderWeights', null]]);
    expect(jobDigest(job, null)).toBe(createHash('sha256').update(text).digest('hex'));
  });

  it('changes with the mode and its numbers', () => {
    const synchronous = parseJob(job, ['batch.units=1']);
    const modes = ['{}', '{"maxStaleness":4}', '{"warmStartSteps":9}'].map((mode) =>
      parseJob(synchronous, [`asynchronous=${mode}`]),
    );
    expect(new Set([synchronous, ...modes].map((mode) => jobDigest(mode, null))).size).toBe(4);
  });

  it("changes with the content of the encoder's weights", () => {
    expect(new Set([null, 'aa', 'bb'].map((weights) => jobDigest(job, weights))).size).toBe(3);
  });

  it('is the same whatever the order of fields in the file', () => {
    const a = parseJob({ seed: 3, optimizer: { clip: 1, name: 'momentum' } });
    const b = parseJob({ optimizer: { name: 'momentum', clip: 1 }, seed: 3 });
    expect(jobDigest(a, null)).toBe(jobDigest(b, null));
  });
});

describe('numericDifferences', () => {
  it('names what a group had that the other job has not', () => {
    const without = parseJob(job, ['phases.decoderOnly.plateau=null']);
    const fields = ['evaluations: 3 → null', 'minImprovement: 0.001 → null'];
    expect(numericDifferences(job, without)).toEqual(fields.map((field) => `phases.decoderOnly.plateau.${field}`));
    expect(numericDifferences(without, job)).toEqual([
      'phases.decoderOnly.plateau.evaluations: null → 3',
      'phases.decoderOnly.plateau.minImprovement: null → 0.001',
    ]);
  });
});
