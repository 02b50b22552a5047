import { readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readVocabulary } from '@showtell/shared/data/vocabulary.js';
import { setEngineEnvironment } from '@showtell/worker/engine/tensorflow/addon.js';
import { LocalCluster, tinyJob } from '../../support/local-run.js';
import { runPython, slimPython } from '../../support/parity-python.js';
import { haveTensorflow } from '../../support/tensorflow.js';
import { agree } from './agree.js';
import { type Computed, computedBy } from './our-captioner.js';

const cluster = LocalCluster.open();
const python = haveTensorflow ? await slimPython() : null;

it.skipIf(python === null)(
  "a captioner trained here through both phases says the same in Python's TensorFlow (skipped without it and TF-Slim)",
  { timeout: 600_000 },
  async () => {
    setEngineEnvironment({ threads: 1 });
    await cluster.drawData();
    const run = cluster.at('run');
    // im2txt's resize, twice the side: it has none of its own at this one.
    const resize = 96;
    const set = { 'augmentation.resize': resize, 'phases.decoderOnly.steps': 20 };
    await cluster.trained(run, { workers: 2, set });
    const exported = cluster.at('exported');
    const done = await cluster.run(['checkpoint', 'export', run, '--format', 'tensorflow', '--out', exported]);
    expect(done).toMatchObject({ code: 0 });

    const words = `${exported}/word_counts.txt`;
    const { startId, endId } = await readVocabulary(words);
    const captions = [
      [startId, 3, 4, 5, 6, endId],
      [startId, 7, 3, 8, 9, 10, 4, endId],
    ];
    const folder = `${cluster.data}/images`;
    const pictures = readdirSync(folder)
      .filter((name) => name.endsWith('.jpg'))
      .slice(0, 3)
      .map((name) => `${folder}/${name}`);
    const { encoder, decoder } = tinyJob.model;
    const asked = {
      ...{ size: encoder.imageSize, resize, multiplier: encoder.depthMultiplier, epsilon: 0.001 },
      ...{ beam: 3, maxLength: 20, words, captions, pictures },
      decoder: [decoder.embedding, decoder.units, decoder.vocabulary],
      encoders: [{ name: 'inception_v3', exported, out: cluster.at('out'), onlyExported: true }],
    };
    writeFileSync(cluster.at('asked.json'), JSON.stringify(asked));
    const script = fileURLToPath(new URL('./captioner.py', import.meta.url));
    const answer = runPython(python ?? '', script, cluster.at('asked.json'));
    const { encoders } = JSON.parse(answer) as { encoders: Record<string, { step: number; exported: Computed }> };
    const theirs = encoders['inception_v3']!;
    expect(theirs.step).toBe(32);
    agree(await computedBy(`${run}/checkpoints/00000032`, pictures, captions), theirs.exported);
  },
);
