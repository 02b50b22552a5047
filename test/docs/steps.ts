import { appendFileSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { commandsOn } from '../support/documented-commands.js';
import { tinyJob } from '../support/local-run.js';
import type { Reader } from './reader.js';

/** A command of the documentation, and how its test differs from what a reader does: shorter, on data of its own. */
export interface Step {
  readonly command: string;
  /** What is put in place first. */
  readonly before?: () => unknown;
  /** Parts that stand for something, or that are replaced by something small. */
  readonly with?: Readonly<Record<string, () => string>>;
  /** Options that make it short. */
  readonly more?: readonly string[];
  /** Exit codes that are right; 0. */
  readonly codes?: readonly number[];
  /** What it must say, on either stream. */
  readonly says?: RegExp;
  /** It runs until it has said that, and goes on beside the steps that follow. */
  readonly stays?: true;
  /** What is to come about instead, of one that says nothing. */
  readonly until?: () => boolean;
}

const tiny = Object.entries({
  'phases.decoderOnly.steps': 3,
  'phases.joint.steps': 2,
  'phases.joint.maxBleuDrop': null,
  'phases.joint.guard.maxPerplexityRatio': null,
  'evaluation.everySteps': 3,
  'evaluation.captionImages': 8,
  'evaluation.perplexityExamples': 64,
}).flatMap(([field, value]) => ['--set', `${field}=${JSON.stringify(value)}`]);

const { encoder, decoder } = tinyJob.model;
const narrow = [
  ...Object.entries(encoder).map(([field, value]) => ['--set', `model.encoder.${field}=${value}`]),
  ...Object.entries(decoder).map(([field, value]) => ['--set', `model.decoder.${field}=${value}`]),
  ['--set', 'batch={"examples":8,"units":4,"captionLengths":[32]}', '--set', 'augmentation.resize=0'],
  ['--set', 'checkpoints.everySteps=2', '--set', 'engine.threads=1', '--set', 'evaluation.unitExamples=4'],
].flat();

const sets = '--annotations captions_train2014.json --images train2014';
/** What a reader does from the first page to the last, in an order in which each finds what it needs. */
export const stepsOf = (reader: Reader): readonly Step[] => [
  { command: 'npx showtell doctor', codes: [0, 1], says: /^\w+ +Node/m },
  { command: 'npx showtell engine setup' },
  { command: 'python3 -m pip config list' },

  {
    command: 'npx showtell data synth --out data/scenes --seed 1 --train 3000',
    more: ['--train', '120', '--size', '80'],
  },
  { command: 'npx showtell train examples/jobs/scenes-small.yaml --run runs/a --data data/scenes --workers 2' },
  { command: 'npx showtell train --run runs/a --resume', says: /complete|trained|finished/i },
  { command: 'npx showtell status runs/a' },
  { command: 'tail -n 20 runs/a/logs/coordinator.log', says: /"run"/ },
  {
    command: "cat runs/a/logs/*.log | jq -cR 'fromjson? | select(.step == 417 and .unit == 2)'",
    // As a worker leaves one of a unit that it gives back.
    before: () => appendFileSync(reader.at('runs/a/logs/worker-1.log'), '{"level":"info","step":417,"unit":2}\n'),
    says: /^\{"level":"info","step":417,"unit":2\}\n$/,
  },
  { command: 'npx showtell checkpoint list runs/a', says: /150/ },
  { command: 'npx showtell checkpoint show runs/a --json', says: /"sha256"/ },
  { command: 'npx showtell checkpoint verify runs/a' },
  {
    command: commandsOn('docs/cli.md').find((command) => command.startsWith('python3 -')) ?? '',
    with: {
      RUN: () => 'runs/a',
      'STEP-FOLDER': () => readdirSync(reader.at('runs/a/checkpoints')).sort().at(-1) ?? '',
    },
    says: /^[0-9a-f]{64}$/m,
  },
  { command: 'npx showtell caption --checkpoint runs/a data/scenes/images/scene_000000000001.jpg' },
  { command: 'npx showtell caption --checkpoint runs/a --html sheet.html data/scenes/images' },
  { command: 'npx showtell caption --checkpoint runs/a --vocabulary data/scenes/word_counts.txt photo.jpg' },
  {
    command:
      'npx showtell train examples/jobs/scenes-small.yaml --run runs/b --data data/scenes --from runs/a@150 --set phases.joint.learningRate=0.05',
  },
  {
    command: 'npx showtell train examples/jobs/scenes-asynchronous.yaml --run runs/c --data data/scenes --workers 2',
    more: [
      ...['--set', 'phases.decoderOnly.steps=60', '--set', 'phases.joint.steps=10'],
      ...['--set', 'phases.joint.guard.maxPerplexityRatio=null', '--set', 'evaluation.captionImages=4'],
    ],
  },
  {
    command:
      'npx showtell evaluate --partial --annotations ANNOTATIONS.json --results RUN/evaluations/00001500/captions.json',
    with: {
      'ANNOTATIONS.json': () => 'data/scenes/captions-val.json',
      RUN: () => 'runs/a',
      '00001500': () =>
        readdirSync(reader.at('runs/a/evaluations'))
          .filter((name) => /^\d+$/.test(name))
          .sort()
          .at(-1) ?? '',
    },
    says: /CIDEr/,
  },
  { command: 'npx showtell checkpoint prune runs/a --keep 1' },
  { command: 'npx showtell data verify data/scenes' },
  {
    command: 'npx showtell serve --checkpoint runs/a --port 8080',
    with: { 8080: () => String(reader.port) },
    says: /listening/,
    stays: true,
  },

  {
    command:
      'SHOWTELL_TOKEN=$(openssl rand -hex 16) npx showtell coordinator job.yaml --run runs/a --data data/scenes --nats nats://nats:4222 --host 0.0.0.0',
    before: () => reader.startNats(),
    with: {
      'job.yaml': () => 'examples/jobs/scenes-small.yaml',
      'runs/a': () => 'runs/open',
      'nats://nats:4222': () => reader.nats,
    },
    more: ['--grpc-port', '0', '--http-port', '0'],
    stays: true,
    // It says nothing before a worker has worked.
    until: () => existsSync(reader.at('runs/open/processes/coordinator.json')),
  },

  // A run whose guard is unmet, and that a worker joins.
  {
    command: 'npx showtell train --run runs/a --resume --set phases.decoderOnly.steps=200',
    before: () => reader.unmetGuard(),
    codes: [10],
    says: /guard/,
  },

  {
    command: `npx showtell data build-coco ${sets} --val-annotations captions_val2014.json --val-images val2014 --out data/mscoco`,
  },
  {
    command: 'npx showtell data index FOLDER',
    before: () => reader.recordsAlone('data/plain'),
    with: { FOLDER: () => 'data/plain' },
  },
  { command: 'npx showtell data index data/im2txt --decode', before: () => reader.recordsAlone('data/im2txt') },
  {
    command:
      'npx showtell train --preset im2txt --run runs/im2txt --data data/im2txt --set model.encoder.weights=inception_v3.ckpt',
    before: () => reader.exported('runs/b', 'inception_v3.ckpt'),
    more: [...tiny, ...narrow],
  },
  { command: 'npx showtell caption --checkpoint runs/im2txt photo.jpg' },
  { command: "npx showtell perplexity --checkpoint runs/im2txt --records 'data/im2txt/val-?????-of-00004' --json" },
  {
    command: "npx showtell perplexity --checkpoint RUN --records 'mscoco/val-?????-of-00004' --json",
    before: () => cpSync(reader.at('data/im2txt'), reader.at('mscoco'), { recursive: true }),
    with: { RUN: () => 'runs/im2txt' },
  },
  { command: 'npx showtell checkpoint export runs/im2txt --format tensorflow --out exported' },
  {
    command:
      'npx showtell checkpoint import train/model.ckpt-1000000 --encoder inception_v3 --vocabulary word_counts.txt --out imported',
    before: () => {
      cpSync(reader.at('data/im2txt/word_counts.txt'), reader.at('word_counts.txt'));
      return reader.exported('runs/im2txt', 'train/model.ckpt-1000000');
    },
    more: ['--image-size', String(encoder.imageSize)],
    says: /matched/,
  },
  { command: 'npx showtell caption --checkpoint imported photo.jpg' },
  {
    command: 'npx showtell train --preset im2txt --run runs/tuned --data data/im2txt --from imported',
    more: [...tiny, ...narrow, '--set', 'model.encoder.allowRandomWeights=true'],
  },

  {
    command:
      'npx showtell data build-coco --annotations captions.json --images photographs --out data/photographs --min-word-count 1',
  },
  {
    command:
      'npx showtell data build-coco --annotations captions.json --images photographs --out data/every-word --min-word-count 1',
  },
  {
    command:
      'npx showtell train examples/jobs/photographs.yaml --run runs/photographs --data data/photographs --workers 2',
    more: tiny.filter((_, i, all) => !String(all[i - (i % 2) + 1]).startsWith('phases.joint.guard')),
  },
  { command: 'npx showtell caption --checkpoint runs/photographs photographs' },
  {
    command: 'npx showtell evaluate --annotations captions_val2014.json --results captions.json --json',
    before: () => {
      const { images } = JSON.parse(readFileSync(reader.at('captions_val2014.json'), 'utf8')) as {
        images: { id: number }[];
      };
      writeFileSync(
        reader.at('captions.json'),
        JSON.stringify(images.map(({ id }) => ({ image_id: id, caption: 'a red bus' }))),
      );
    },
    says: /"Bleu_4"/,
  },

  { command: 'npx showtell demo', more: tiny, says: /after joint/ },
  { command: 'npx showtell status runs/demo' },
  { command: 'npx showtell checkpoint list runs/demo' },
  { command: 'npx showtell caption --checkpoint runs/demo data/demo/images/scene_000000003001.jpg' },
  { command: 'showtell caption --checkpoint runs/demo scene.jpg' },
  { command: 'showtell checkpoint export runs/demo --format saved-model --out served/1' },
  {
    command: 'showtell serve --checkpoint runs/demo --port 8080',
    before: () => reader.stopOthers(),
    with: { 8080: () => String(reader.port) },
    says: /listening/,
    stays: true,
  },
  {
    command: "curl --data-binary @photo.jpg -H 'content-type: image/jpeg' http://127.0.0.1:8080/caption",
    with: { 8080: () => String(reader.port) },
    says: /"captions"/,
  },
];
