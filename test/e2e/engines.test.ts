import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import sharp from 'sharp';
import { ensureNatsServer } from '@showtell/coordinator/local/nats-binary.js';
import { silent } from '@showtell/shared/set-up/progress.js';
import { backends } from '../support/backends.js';
import { type Ended, LocalCluster } from '../support/local-run.js';
import { haveTensorflow } from '../support/tensorflow.js';

const cluster = LocalCluster.open();
const minutes = 60_000;

interface Captioned {
  readonly image: string;
  readonly captions: { readonly caption: string; readonly logprob: number }[];
}

describe('a machine with neither compiler nor Python', () => {
  const run = cluster.at('run');
  const picture = cluster.at('picture.png');

  /** A command with nothing on PATH, and a cache that holds a nats-server alone. */
  const bare = (args: readonly string[], environment: readonly string[] = []): Promise<Ended> => {
    const own = [`PATH=${cluster.at('bin')}`, `SHOWTELL_CACHE=${cluster.at('bare-cache')}`];
    return cluster.start(args, ['/usr/bin/env', '-u', 'VK_ICD_FILENAMES', ...own, ...environment]).ended;
  };

  beforeAll(async () => {
    mkdirSync(cluster.at('bin'));
    for (const name of ['sh', 'uname']) symlinkSync(`/usr/bin/${name}`, cluster.at('bin', name));
    mkdirSync(cluster.at('bare-cache', 'nats-server'), { recursive: true });
    copyFileSync(await ensureNatsServer(silent), cluster.at('bare-cache', 'nats-server', 'nats-server'));
    const pixels = Uint8Array.from({ length: 90 * 90 * 3 }, (_, i) => Math.round(127 + 100 * Math.sin(i / 50)));
    await sharp(pixels, { raw: { width: 90, height: 90, channels: 3 } })
      .png()
      .toFile(picture);
  }, 5 * minutes);

  it(
    'runs the demo on wasm by itself, and says why',
    async () => {
      const short = ['phases.decoderOnly.steps=3', 'phases.joint.steps=2', 'evaluation.everySteps=3'];
      const more = ['evaluation.captionImages=8', 'evaluation.perplexityExamples=64', 'phases.joint.maxBleuDrop=null'];
      const unguarded = ['phases.joint.guard.maxPerplexityRatio=null'];
      const set = [...short, ...more, ...unguarded].flatMap((override) => ['--set', override]);
      const { code, stderr } = await bare(['demo', '--run', run, '--data', cluster.at('data'), ...set]);
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(
        /^engine wasm: npm brought it; not webgpu: .*; not tensorflow, the faster one: .*(compiler|Python)/m,
      );
    },
    10 * minutes,
  );

  it(
    'captions there, and TensorFlow captions the same from that checkpoint, and wasm from one of its own',
    async () => {
      const args = ['caption', '--checkpoint', run, '--json', picture];
      const { code, stdout, stderr } = await bare(args);
      expect(code, stderr).toBe(0);
      const [own] = lines(stdout);
      expect(own?.captions.length).toBeGreaterThan(0);
      if (!haveTensorflow) return;
      for (const engine of ['tensorflow', 'wasm']) {
        const done = await cluster.run([...args, '--engine', engine]);
        expect(done.code, done.stderr).toBe(0);
        const [other] = lines(done.stdout);
        expect(other?.captions.map(({ caption }) => caption)).toEqual(own?.captions.map(({ caption }) => caption));
        for (const [i, { logprob }] of other!.captions.entries())
          expect(Math.abs(logprob - own!.captions[i]!.logprob)).toBeLessThan(1e-3);
      }
    },
    5 * minutes,
  );

  it('tells that TensorFlow is not set up where it is asked for, and what else there is', async () => {
    const { code, stderr } = await bare(['caption', '--checkpoint', run, '--engine', 'tensorflow', picture]);
    expect(code).toBe(78);
    expect(stderr).toMatch(/The engine is not set up.*\n.*showtell engine setup.*--engine wasm/);
    const auto = await bare(['caption', '--checkpoint', run, '--engine', 'auto', '--json', picture]);
    expect(auto.stderr).toMatch(/^engine wasm: .*not tensorflow, the faster one: it is not set up/m);
    expect(lines(auto.stdout)).toHaveLength(1);
  });

  it('has no GPU for webgpu', async () => {
    const { code, stderr } = await bare(
      ['caption', '--checkpoint', run, '--engine', 'webgpu', picture],
      ['VK_DRIVER_FILES=/nowhere.json'],
    );
    expect(code).toBe(69);
    expect(stderr).toMatch(/The webgpu engine has no GPU.*\n.*vulkaninfo/);
  });

  it.skipIf(!backends.webgpu.available)(
    `captions the same on webgpu (${backends.webgpu.needs})`,
    async () => {
      const args = ['caption', '--checkpoint', run, '--json', '--beam', '2', picture];
      const [wasm] = lines((await bare(args)).stdout);
      const done = await cluster.run([...args, '--engine', 'webgpu']);
      expect(done.code, done.stderr).toBe(0);
      const [webgpu] = lines(done.stdout);
      expect(webgpu?.captions[0]?.caption).toBe(wasm?.captions[0]?.caption);
      expect(Math.abs(webgpu!.captions[0]!.logprob - wasm!.captions[0]!.logprob)).toBeLessThan(1e-3);
    },
    10 * minutes,
  );
});

it.each([
  ['bfloat16', ['engine.name=wasm', 'engine.precision=bfloat16'], /engine\.precision.*tensorflow/],
  ['cuda', ['engine.name=webgpu', 'engine.device=cuda'], /engine\.device.*webgpu/],
])('a job that asks for %s on an engine without is refused by its field', async (_, overrides, message) => {
  const job = cluster.writeJob('wrong');
  const set = overrides.flatMap((override) => ['--set', override]);
  const done = await cluster.run(['train', job, '--run', cluster.at('wrong'), ...set]);
  expect(done.code).toBe(78);
  expect(done.stderr).toMatch(message);
});

function lines(stdout: string): Captioned[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Captioned);
}
