import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { LocalCluster } from '../../support/local-run.js';
import { nsfwModel, writeModel } from '../../support/nsfw-model.js';

const cluster = LocalCluster.open();
const words = cluster.at('word_counts.txt');
let file = '';

beforeAll(async () => {
  file = writeModel(cluster.at('keras'), await nsfwModel());
  writeFileSync(words, '<S> 9\n</S> 9\na 5\ncat 4');
});

describe('showtell checkpoint import of a Keras model', { timeout: 600_000 }, () => {
  it('makes a checkpoint of its encoder, and reports each variable with its name there', async () => {
    const out = cluster.at('encoder');
    const done = await cluster.run([
      ...['checkpoint', 'import', file, '--encoder', 'inception_v3', '--vocabulary', words, '--out', out, '--json'],
    ]);
    expect(done).toMatchObject({ code: 0 });
    const report = JSON.parse(done.stdout) as {
      format: string;
      encoderOnly: boolean;
      model: { encoder: Record<string, unknown> };
      matched: { name: string; from: string; type: string }[];
      missing: unknown[];
      leftOver: { name: string; reason: string }[];
    };
    expect(report).toMatchObject({ format: 'Keras layers model of tfjs', encoderOnly: true, missing: [] });
    expect(report.model.encoder).toMatchObject({ depthMultiplier: 1, imageSize: 299, batchNormEpsilon: 0.001 });
    expect(report.matched).toHaveLength(4 * 94);
    expect(
      report.matched.find(({ name }) => name === 'InceptionV3/Mixed_5b/Branch_1/Conv2d_0b_5x5/weights'),
    ).toMatchObject({ from: 'conv2d_8/kernel', type: 'uint8 · scale + min' });
    expect(new Set(report.leftOver.map(({ reason }) => reason))).toEqual(new Set(['classifier head']));
    expect(report.leftOver).toHaveLength(6);
    const manifest = JSON.parse(readFileSync(join(out, 'manifest.json'), 'utf8')) as { parameters: { count: number } };
    expect(manifest.parameters.count).toBeGreaterThan(37_000_000);
  });

  it('leaves nothing behind when a shard is damaged', async () => {
    const out = cluster.at('refused');
    appendFileSync(join(dirname(file), 'group1-shard6of6'), 'x');
    const damaged = await cluster.run([
      ...['checkpoint', 'import', file, '--encoder', 'inception_v3', '--vocabulary', words, '--out', out],
    ]);
    expect(damaged).toMatchObject({
      code: 65,
      stderr: expect.stringContaining('no layers model that can be read') as string,
    });
    expect(existsSync(out)).toBe(false);
  });
});
