import { expect, it } from 'vitest';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import { kept } from '../support/kept.js';
import { LocalCluster } from '../support/local-run.js';

const cluster = LocalCluster.open();
const seeds = [1, 2, 3];

/** The demo's job, shortened; its last evaluation sees every validation picture. */
const set = {
  'phases.decoderOnly.steps': 100,
  'phases.joint.steps': 500,
  'phases.joint.decay': { factor: 0.1, everySteps: 350 },
  'phases.joint.maxBleuDrop': null,
  'evaluation.everySteps': 600,
  'evaluation.perplexityExamples': 1500,
  'evaluation.captionImages': 300,
};

interface Outcome {
  readonly lossPerWord: number;
  readonly bleu4: number;
}

async function outcome(precision: 'float32' | 'bfloat16', seed: number, job: string): Promise<Outcome> {
  const command = await cluster.trained(cluster.at(`${precision}-${seed}`), {
    job,
    workers: 2,
    data: cluster.at('scenes'),
    set: { ...set, seed, 'engine.precision': precision },
  });
  const last = command.lines.findLast(({ type }) => type === 'evaluation') as unknown as {
    readonly lossPerWord: number;
    readonly captions: { readonly bleu: readonly number[] };
  };
  const result = { lossPerWord: last.lossPerWord, bleu4: last.captions.bleu[3] ?? NaN };
  console.log(precision, 'seed', seed, result);
  return result;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

const has = canBfloat16(instructionSets());

it.skipIf(!has)(
  'bfloat16 (skipped where the processor has none) learns what float32 does: over three seeds validation loss within 1 %, BLEU-4 within 0.02',
  async () => {
    const args = ['--seed', '1', '--train', '3000', '--val', '300', '--test', '8'];
    expect(await cluster.run(['data', 'synth', '--out', cluster.at('scenes'), ...args])).toMatchObject({ code: 0 });
    const job = cluster.writeJob('demo', { preset: 'demo' });
    const [wide, narrow] = await Promise.all(
      (['float32', 'bfloat16'] as const).map(async (precision) => {
        const outcomes: Outcome[] = [];
        for (const seed of seeds)
          outcomes.push(await kept(`demo ${precision} ${seed}`, () => outcome(precision, seed, job)));
        return {
          lossPerWord: mean(outcomes.map(({ lossPerWord }) => lossPerWord)),
          bleu4: mean(outcomes.map(({ bleu4 }) => bleu4)),
        };
      }),
    );
    if (wide === undefined || narrow === undefined) throw new Error('both precisions were trained');
    console.log({ float32: wide, bfloat16: narrow });
    expect(Math.abs(narrow.lossPerWord / wide.lossPerWord - 1)).toBeLessThanOrEqual(0.01);
    expect(Math.abs(narrow.bleu4 - wide.bleu4)).toBeLessThanOrEqual(0.02);
  },
);
