import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { openDataset } from '@showtell/shared/data/dataset.js';
import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import { Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import {
  bitsOf,
  LocalCluster,
  logOf,
  logsOf,
  pidOf,
  show,
  survivors,
  tinyJob,
  untilGone,
  type Ended,
} from '../support/local-run.js';
import { startTestNats } from '../support/nats-server.js';
import { ScriptedWorker } from '../support/scripted-worker.js';
import { writeCocoSet } from '../support/coco-set.js';

const cluster = LocalCluster.open();
const minutes = 60_000;
/** One epoch and a bit of the decoder. */
const short = { 'phases.decoderOnly.steps': 8, 'phases.joint.steps': 0, 'checkpoints.everySteps': 2 };
/** A finished run that the cases look at, copy and damage. */
const trained = cluster.at('trained');
const otherData = cluster.at('other-data');
let reference: ReturnType<typeof bitsOf>;

beforeAll(async () => {
  await cluster.drawData();
  await cluster.drawData(11, otherData);
  await cluster.trained(trained, { workers: 1, set: short });
  reference = bitsOf(trained);
}, 20 * minutes);

function copyOf(folder: string, name: string): string {
  const copy = cluster.at(name);
  cpSync(folder, copy, { recursive: true });
  return copy;
}

function shardOf(data: string): string {
  return join(data, readdirSync(data).find((name) => /^train-\d+-of-\d+$/.test(name)) ?? '');
}

function refused(ended: Ended, code: number, ...messages: RegExp[]): void {
  expect(ended).toMatchObject({ code });
  for (const message of messages) expect(ended.stderr).toMatch(message);
  // What to do about it.
  expect(ended.stderr).toMatch(/→ \S/);
  expect(ended.stderr).not.toMatch(/ {4}at .*\.js/);
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] ?? 0) ^ 0x10;
  writeFileSync(file, bytes);
}

describe('data', () => {
  it.each<[string, (data: string) => void, number, RegExp]>([
    ['a missing TFRecord', (data) => rmSync(shardOf(data)), 66, /Shard 0 of train, .*train-00000.* does not exist/],
    [
      'an empty TFRecord',
      (data) => truncateSync(shardOf(data), 0),
      65,
      /train-00000.*it has 0 bytes where its index has/,
    ],
    [
      'a truncated TFRecord',
      (data) => truncateSync(shardOf(data), readFileSync(shardOf(data)).length - 10),
      65,
      /train-00000.* bytes where its index has/,
    ],
    [
      'another vocabulary than the records have',
      (data) => writeFileSync(join(data, 'word_counts.txt'), '<S> 9\n</S> 9\nred 3\n'),
      65,
      /word_counts\.txt/,
    ],
  ])('%s is named before anything begins', async (name, damage, code, message) => {
    const data = copyOf(cluster.data, `data ${name}`);
    damage(data);
    const run = cluster.at(`run ${name}`);
    refused(await cluster.train(run, { workers: 1, data, set: short }).ended, code, message);
    expect(new RunFolder(run).exists).toBe(false);
  });

  it(
    'a corrupt record stops the run that comes to it, by its shard and place',
    async () => {
      const data = copyOf(cluster.data, 'corrupt');
      const { offset } = (await openDataset(data)).split('train').record(5);
      flip(shardOf(data), offset + 100);
      const verified = await cluster.run(['data', 'verify', data]);
      expect(verified).toMatchObject({ code: 65 });
      expect(verified.stdout).toContain(`train shard 0 byte ${offset}`);
      const run = cluster.at('run-corrupt');
      const ended = await cluster.train(run, { workers: 2, data, set: short }).ended;
      refused(
        ended,
        65,
        /No worker can compute unit \d of step \d/,
        new RegExp(`train-00000-of-00001@${offset}`),
        /corrupt/,
      );
      expect(survivors(run)).toEqual([]);
    },
    15 * minutes,
  );

  it(
    'a picture that does not decode is skipped by name up to the limit, and ends the run beyond it',
    async () => {
      const data = copyOf(cluster.data, 'undecodable');
      const { offset, length } = (await openDataset(data)).split('train').record(5);
      const shard = readFileSync(shardOf(data));
      const record = shard.subarray(offset, offset + length);
      const jpeg = record.indexOf(Buffer.from([0xff, 0xd8, 0xff]));
      expect(jpeg).toBeGreaterThan(0);
      record.fill(0, jpeg + 2, jpeg + 300);
      shard.writeUInt32LE(maskedCrc32c(record), offset + length);
      writeFileSync(shardOf(data), shard);
      const indexed = await cluster.run(['data', 'index', data]);
      expect(indexed, indexed.stderr).toMatchObject({ code: 0 });

      const none = cluster.at('run-none');
      const ended = await cluster.train(none, { workers: 1, data, set: short }).ended;
      refused(ended, 65, /1 records do not decode, 0 may be skipped/, new RegExp(`@${offset}`));

      const some = cluster.at('run-some');
      await cluster.trained(some, { workers: 1, data, set: { ...short, 'data.maxCorruptRecords': 3 } });
      expect(show(some).examples).toBe(8 * 8 - 1);
      const skipped = logOf(some, 'coordinator').find(({ message }) => message.includes('are skipped'));
      expect(JSON.stringify(skipped)).toContain(`@${offset}`);
    },
    15 * minutes,
  );

  it.each<[string, string, RegExp]>([
    ['no words', ' ', /has 0 words, not 1 to 100/],
    ['500 words', 'word '.repeat(500), /has 500 words, not 1 to 100/],
  ])('a caption of %s', async (name, caption, message) => {
    const set = await writeCocoSet(cluster.at(`coco ${name}`), [['one'], [caption], ['three']]);
    const args = ['--annotations', set.annotations, '--images', set.images, '--out', cluster.at(`out ${name}`)];
    refused(await cluster.run(['data', 'build-coco', ...args]), 65, message);
  });

  it('an annotation for an absent image', async () => {
    const set = await writeCocoSet(cluster.at('coco'), [['one'], ['two']]);
    rmSync(join(set.images, 'COCO_101.jpg'));
    const args = ['--annotations', set.annotations, '--images', set.images, '--out', cluster.at('out')];
    refused(await cluster.run(['data', 'build-coco', ...args]), 66, /Image 101 of .* has no file .*COCO_101\.jpg/);
  });
});

describe('the job file', () => {
  it.each<[string, unknown, RegExp[]]>([
    [
      'an unknown field, a wrong type and a value out of range',
      { ...tinyJob, sead: 3, batch: { examples: 'many' }, optimizer: { momentum: 2 } },
      [/sead: no such field/, /batch\.examples: .*expected/, /optimizer\.momentum: /],
    ],
    [
      'an impossible pair of values',
      { ...tinyJob, batch: { examples: 8, units: 3 } },
      [/8 examples do not divide into 3/],
    ],
    ['broken YAML', 'model: {encoder: [\n', [/is not YAML/]],
    [
      'fewer rows than the data have words',
      { ...tinyJob, model: { ...tinyJob.model, decoder: { ...tinyJob.model.decoder, vocabulary: 7 } } },
      [/have \d+ words, the model's tables only 7 rows \(model\.decoder\.vocabulary\)/],
    ],
  ])('%s', async (name, job, messages) => {
    const file = cluster.writeJob(name.replace(/\W/g, '-'), job);
    refused(await cluster.train(cluster.at(`run ${name}`), { workers: 1, job: file }).ended, 78, ...messages);
  });
});

describe('a run folder', () => {
  it('of another job, of other data, with fewer steps; there already; not there', async () => {
    const other = await cluster.train(trained, { workers: 1, set: { ...short, seed: 2 } }).ended;
    refused(other, 78, /is of another job:\n {2}seed: 1 → 2/);
    refused(
      await cluster.train(trained, { workers: 1, data: otherData, set: short }).ended,
      78,
      /not those that the run .* began with/,
    );
    const fewer = { ...short, 'phases.decoderOnly.steps': 4 };
    refused(
      await cluster.train(trained, { workers: 1, set: fewer }).ended,
      78,
      /phases\.decoderOnly\.steps is 4 .* began with 8/,
    );
    refused(
      await cluster.train(trained, { workers: 1, set: short, args: ['--no-resume'] }).ended,
      73,
      /There is a run in/,
    );
    refused(
      await cluster.run(['train', '--run', cluster.at('nothing'), '--resume']),
      66,
      /There is no run in .*nothing/,
    );
    refused(await cluster.run(['status', cluster.at('nothing')]), 66, /There is no run in .*nothing/);
  });

  it(
    'with a second coordinator, a worker of another job, of other data, of another version and one that sends NaN, comes to the same hash',
    async () => {
      const run = cluster.at('disturbed');
      // Without workers it waits, so that all this happens to it before its first step.
      const command = cluster.train(run, { workers: 0, set: short });
      await pidOf(run, 'coordinator');
      refused(
        await cluster.train(run, { workers: 1, set: short }).ended,
        75,
        new RegExp(`already, by process ${command.pid}`),
      );

      const doctored = copyOf(run, 'doctored');
      const job = JSON.parse(readFileSync(join(run, 'job.json'), 'utf8')) as {
        seed: number;
        data: { directory: string };
      };
      const asks = async (change: object): Promise<Ended> => {
        writeFileSync(join(doctored, 'job.json'), JSON.stringify({ ...job, ...change }));
        return cluster.run(['worker', '--run', doctored, '--id', 'stranger', '--wait', '20s']);
      };
      const otherJob = await asks({ seed: 9 });
      expect(otherJob).toMatchObject({ code: 78 });
      expect(otherJob.stderr).toMatch(/worker\/other-job.* has another job than this run/);
      const withOtherData = await asks({ data: { directory: otherData } });
      expect(withOtherData).toMatchObject({ code: 78 });
      expect(withOtherData.stderr).toMatch(/worker\/other-data.* reads other data/);
      expect(command.isOver).toBe(false);

      const folder = new RunFolder(run);
      const { jobSha256, datasetDigest } = folder.identity();
      const facts = { jobSha256, datasetDigest };
      const { layout } = modelParameters(folder.job());
      const { grpc } = folder.liveCoordinator() ?? { grpc: '' };
      await using stale = new ScriptedWorker(grpc, layout, facts, { id: 'old', hello: { version: '0.0.1' } });
      expect(await stale.answered).toMatchObject({ refusal: { code: 'worker/other-version' } });
      let refusals = 0;
      await using bad = new ScriptedWorker(grpc, layout, facts, {
        id: 'bad',
        deed: ({ evaluation }) => (evaluation ? 'compute' : refusals++ === 0 ? 'not-finite' : 'hold'),
      });
      while (!bad.results.some(({ id }) => !id.evaluation) && !command.isOver) await delay(20);
      expect(bad.results.find(({ id }) => !id.evaluation)?.verdict).toBe(Verdict.VERDICT_INVALID);
      bad.die();

      const good = cluster.start(['worker', '--run', run]);
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(await good.ended).toMatchObject({ code: 0 });
      const refusal = logOf(run, 'coordinator').find(({ message }) => message === 'a gradient was refused');
      expect(refusal).toMatchObject({ step: 0, worker: 'bad' });
      expect(bitsOf(run)).toEqual(reference);
    },
    20 * minutes,
  );
});

describe('a checkpoint', () => {
  const checkpointFile = (run: string, step: number, file = 'parameters.safetensors'): string =>
    join(run, 'checkpoints', String(step).padStart(8, '0'), file);

  it(
    'with a flipped byte is passed over by name; when all are damaged the run does not go on',
    async () => {
      const run = copyOf(trained, 'damaged');
      rmSync(join(run, 'checkpoints', '00000008'), { recursive: true });
      flip(checkpointFile(run, 6), -9);
      const verified = await cluster.run(['checkpoint', 'verify', run]);
      expect(verified).toMatchObject({ code: 65 });
      expect(verified.stdout).toMatch(/damaged .*00000006.*parameters\.safetensors has the SHA-256/);
      await cluster.trained(run, { workers: 1, set: short });
      const log = logOf(run, 'coordinator');
      expect(log.find(({ message }) => message.includes('damaged'))?.path).toMatch(/00000006$/);
      expect(log.findLast(({ message }) => message === 'going on from a checkpoint')?.step).toBe(4);
      expect(bitsOf(run)).toEqual(reference);

      for (const step of readdirSync(join(run, 'checkpoints')).map(Number))
        flip(checkpointFile(run, step, 'manifest.json'), 80);
      const ended = await cluster.train(run, { workers: 1, set: { ...short, 'phases.decoderOnly.steps': 9 } }).ended;
      refused(ended, 65, /Every checkpoint in .* is damaged:/, /00000008/);
      await untilGone(run);
    },
    15 * minutes,
  );

  it(
    'of another model, and of another vocabulary, is no beginning for a fork',
    async () => {
      const wider = { ...short, 'model.decoder.units': 40 };
      const otherModel = await cluster.train(cluster.at('fork-model'), {
        workers: 0,
        set: wider,
        args: ['--from', trained],
      }).ended;
      refused(otherModel, 65, /does not fit the job's model: /);
      const other = cluster.at('other-vocabulary');
      await cluster.run([
        'data',
        'synth',
        '--out',
        other,
        '--seed',
        '4',
        '--train',
        '3',
        '--captions',
        '1',
        '--size',
        '80',
      ]);
      const args = ['--from', trained];
      const otherWords = await cluster.train(cluster.at('fork-words'), { workers: 0, data: other, set: short, args })
        .ended;
      refused(otherWords, 65, /was trained on another vocabulary/);
    },
    15 * minutes,
  );

  const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;
  it.skipIf(!canMount)(
    'that the full disk does not take is told of, and the one before stays; with room the run goes on (skipped where unshare -rm cannot mount)',
    async () => {
      const run = copyOf(trained, 'full');
      for (const step of [2, 4, 6, 8])
        rmSync(join(run, 'checkpoints', String(step).padStart(8, '0')), { recursive: true, force: true });
      // One checkpoint fits (2.4 MiB), a second beside it does not.
      const mount = 'mount -t tmpfs -o size=4m full "$0" && exec "$@"';
      const ended = await cluster.train(run, {
        workers: 1,
        set: short,
        through: ['unshare', '-rm', 'sh', '-c', mount, join(run, 'checkpoints')],
      }).ended;
      refused(
        ended,
        74,
        /The checkpoint .*00000008 could not be written: .*no space left/i,
        /The one before it is untouched/,
      );
      expect(ended.stdout).toContain('"type":"checkpoint","step":2');
      expect(ended.stdout).toContain('"type":"save-failed","step":4');
      await untilGone(run);
      await cluster.trained(run, { workers: 1, set: short });
      expect(bitsOf(run)).toEqual(reference);
    },
    15 * minutes,
  );
});

describe('services', () => {
  it(
    'NATS absent, ports taken, an external NATS killed in mid-run',
    async () => {
      const job = cluster.writeJob('external', {
        ...tinyJob,
        phases: { ...tinyJob.phases, decoderOnly: { steps: 8, learningRate: 0.1, decay: null }, joint: { steps: 0 } },
        checkpoints: { everySteps: 2 },
      });
      const run = cluster.at('external');
      const coordinator = (nats: string, ...more: string[]) =>
        cluster.start([
          'coordinator',
          job,
          '--run',
          run,
          '--data',
          cluster.data,
          '--nats',
          nats,
          '--grpc-port',
          '0',
          '--http-port',
          '0',
          ...more,
        ]);
      refused(await coordinator('nats://127.0.0.1:1').ended, 69, /127\.0\.0\.1:1/);

      await using nats = await startTestNats();
      const holder = createServer().listen(0, '127.0.0.1');
      await delay(50);
      const { port } = holder.address() as AddressInfo;
      refused(
        await coordinator(nats.url, '--grpc-port', String(port)).ended,
        69,
        new RegExp(`Port ${port} .*parameter server.* taken`),
      );
      refused(
        await coordinator(nats.url, '--http-port', String(port)).ended,
        69,
        new RegExp(`Port ${port} .*metrics.* taken`),
      );
      holder.close();

      const command = coordinator(nats.url);
      const worker = cluster.start(['worker', '--run', run, '--id', 'w']);
      await command.untilStep(3);
      nats.restart();
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      expect(await worker.ended).toMatchObject({ code: 0 });
      const said = logOf(run, 'coordinator').map(({ message }) => message);
      expect(said).toContain("the broker's connection: disconnected");
      expect(bitsOf(run)).toEqual(reference);
    },
    15 * minutes,
  );

  it(
    "the run's own NATS killed in mid-run is started again, to the same hash",
    async () => {
      const run = cluster.at('own-nats');
      const command = cluster.train(run, { workers: 2, set: short });
      await command.untilStep(2);
      const before = await pidOf(run, 'nats');
      process.kill(before, 'SIGKILL');
      expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });
      const again = logOf(run, 'coordinator').find(({ message }) => message.startsWith('nats-server had ended'));
      expect(again?.pid).not.toBe(before);
      expect(survivors(run)).toEqual([]);
      expect(bitsOf(run)).toEqual(reference);
    },
    15 * minutes,
  );
});
