import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { PHOTOGRAPHS, writePhotographs } from '../support/photographs.js';
import { bitsOf, LocalCluster, logsOf } from '../support/local-run.js';

const cluster = LocalCluster.open();
const minutes = 60_000;

/** A narrow encoder told twelve photographs apart within a minute. */
const job = {
  name: 'photographs',
  model: {
    encoder: { depthMultiplier: 0.1, imageSize: 75, batchNormDecay: 0.9 },
    decoder: { embedding: 64, units: 64, vocabulary: 96, keep: 1 },
  },
  // Each unit is one visit to every photograph, so that its batch norm sees them all.
  batch: { examples: 24, units: 2, captionLengths: [16] },
  augmentation: { enabled: false, resize: 0 },
  optimizer: { name: 'momentum' },
  phases: {
    decoderOnly: { steps: 150, learningRate: 0.5, decay: null },
    joint: { steps: 150, learningRate: 0.4, featureKeep: 1, l2: 0, maxBleuDrop: null },
  },
  evaluation: { everySteps: 1000, perplexityExamples: 12, captionImages: 12, unitExamples: 6, sampleImages: 0 },
  checkpoints: { everySteps: 50, keepLast: 2 },
  engine: { threads: 1 },
};

it(
  'photographs with true captions go through build-coco and two workers to a loss near zero; caption returns theirs (skipped where scikit-image’s wheel cannot be fetched)',
  async ({ skip }) => {
    const set = await writePhotographs(cluster.folder);
    if (set === null) return skip('python3 -m pip download did not reach its registry');
    const data = cluster.at('photographs');
    const built = await cluster.run([
      ...['data', 'build-coco', '--annotations', set.annotations, '--images', set.images],
      ...['--out', data, '--min-word-count', '1'],
    ]);
    expect(built).toMatchObject({ code: 0 });

    const run = cluster.at('run');
    const options = { workers: 2, data, job: cluster.writeJob('photographs', job) };
    const first = cluster.train(run, options);
    await first.untilStep(120);
    first.signal('SIGINT');
    expect((await first.ended).code, logsOf(run)).toBe(11);
    const { step } = bitsOf(run);
    expect(step).toBeGreaterThanOrEqual(120);

    const second = cluster.train(run, options);
    const ended = await second.ended;
    expect(ended, logsOf(run)).toMatchObject({ code: 0 });
    expect(second.lines.find(({ type }) => type === 'step')?.step).toBe(step + 1);
    const losses = second.lines.filter(({ type }) => type === 'step').map(({ loss }) => loss ?? 0);
    expect(Math.max(...losses.slice(-10))).toBeLessThan(0.1);

    const pictures = Object.keys(PHOTOGRAPHS);
    const files = pictures.map((name) => join(set.images, name.replace(/\.\w+$/, '.jpg')));
    const { code, stdout, stderr } = await cluster.run(['caption', '--checkpoint', run, '--json', ...files]);
    expect(code, stderr).toBe(0);
    const said = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { image: string; captions: { caption: string; logprob: number }[] });
    expect(said.map(({ image }) => basename(image))).toEqual(files.map((file) => basename(file)));
    for (const [i, { captions }] of said.entries()) {
      const words = captions[0]?.caption.replace(/ ?\.$/, '');
      expect(words).toBe(PHOTOGRAPHS[pictures[i] ?? '']);
      expect(captions.map(({ logprob }) => logprob)).toEqual(
        captions.map(({ logprob }) => logprob).sort((a, b) => b - a),
      );
      expect(captions[0]?.logprob).toBeGreaterThan(-1.5);
      expect(captions[0]?.logprob).toBeLessThanOrEqual(0);
    }
  },
  20 * minutes,
);
