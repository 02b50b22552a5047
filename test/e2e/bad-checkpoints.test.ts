import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCaptionCheckpoint } from '../support/caption-checkpoint.js';
import { type Arguments, checkpointCommand as showtell, refuses } from '../support/refused-command.js';
import { captioner, rewriteCaptioner, tensorflowFixture } from '../support/tensorflow-fixtures.js';

const root = mkdtempSync(join(tmpdir(), 'showtell-bad-checkpoints-'));
/** A run with one checkpoint, which the cases copy and damage. */
const run = join(root, 'run');
const checkpoint = join(run, 'checkpoints', '00000001');
/** The fixture's captioner imported: another model. */
const other = join(root, 'other');

beforeAll(async () => {
  await writeCaptionCheckpoint(run);
  const made = await showtell('import', captioner.file, ...fixtureOptions, '--out', other);
  expect(made, made.stderr).toMatchObject({ code: 0 });
}, 60_000);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const fixtureOptions = ['--encoder', 'inception_v3', '--vocabulary', captioner.words, '--image-size', '139'] as const;
const V1 = captioner.file;

/** `import FILE` of the fixture's captioner, with options over its own. */
function importing(file: string | ((at: string) => string), ...more: readonly string[]): Arguments {
  return (folder) => {
    const path = typeof file === 'string' ? file : file(folder);
    return ['import', path, ...fixtureOptions, '--out', join(folder, 'out'), ...more];
  };
}

/** The captioner as a V2 checkpoint, changed. */
function rewritten(...how: [Parameters<typeof rewriteCaptioner>[1], Parameters<typeof rewriteCaptioner>[2]?]) {
  return (folder: string): string => {
    rewriteCaptioner(join(folder, 'model.ckpt-7'), ...how);
    return join(folder, 'model.ckpt-7');
  };
}

function spoilt(suffix: string, spoil: (file: string) => void): (folder: string) => string {
  return (folder) => {
    const prefix = rewritten((tensor) => tensor)(folder);
    spoil(`${prefix}${suffix}`);
    return prefix;
  };
}

function file(name: string, content: string | Uint8Array): (folder: string) => string {
  return (folder) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
}

const halve = (path: string): void => truncateSync(path, Math.floor(readFileSync(path).length / 2));
const data = '.data-00000-of-00001';
const more = (name: string, values: readonly number[], shape: readonly number[] = [values.length]) =>
  rewritten((tensor) => tensor, [{ name, shape, type: 'float32', values: () => Float32Array.from(values) }]);
const biases = (shape: readonly number[], values: Float32Array) =>
  rewritten((tensor) => (tensor.name === 'logits/biases' ? { ...tensor, shape, values: () => values } : tensor));
const norm = 'InceptionV3/Conv2d_1a_3x3/BatchNorm';

describe('checkpoint import refuses', () => {
  refuses([
    [
      'an index cut short',
      importing(spoilt('.index', halve)),
      65,
      /model\.ckpt-7\.index is no sound part .* does not end/,
    ],
    [
      'data cut short',
      importing(spoilt(data, halve)),
      65,
      /model\.ckpt-7\.data-00000-of-00001 is no sound part .* bytes/,
    ],
    [
      'data that lack a byte of what is left over',
      importing((folder) => {
        const prefix = more('seq_embedding/map/Momentum', [1, 2])(folder);
        truncateSync(`${prefix}${data}`, readFileSync(`${prefix}${data}`).length - 1);
        return prefix;
      }),
      65,
      /00000-of-00001 is no sound part .* its tensors end at byte/,
    ],
    ['an index without data', importing(spoilt(data, rmSync)), 66, /model\.ckpt-7\.data-00000-of-00001 does not exist/],
    [
      'data without an index',
      importing((folder) => {
        const prefix = spoilt('.index', rmSync)(folder);
        return `${prefix}${data}`;
      }),
      65,
      /there is no model\.ckpt-7\.index beside it/,
    ],
    [
      'a V1 file cut short',
      importing((folder) => {
        cpSync(V1, join(folder, 'v1.ckpt'));
        halve(join(folder, 'v1.ckpt'));
        return join(folder, 'v1.ckpt');
      }),
      65,
      /v1\.ckpt holds no weights .* cut short, or of another kind/,
    ],
    [
      'a V1 checkpoint of which a part is missing',
      importing((folder) => {
        const name = 'model.ckpt-12345';
        cpSync(tensorflowFixture('formats', 'v1-sharded'), folder, { recursive: true });
        rmSync(join(folder, `${name}-00001-of-00003`));
        return join(folder, `${name}-00002-of-00003`);
      }),
      66,
      /model\.ckpt-12345-00001-of-00003 does not exist/,
    ],
    [
      'an archive',
      importing(file('inception_v3.tar.gz', gzipSync('x'))),
      65,
      /gzip archive: unpack it .*inception_v3\.tar\.gz/,
    ],
    ['a zip archive', importing(file('weights.npz', 'PK\x03\x04 and so on')), 65, /weights\.npz .* zip archive/],
    ['an HDF5 file', importing(file('weights.h5', Buffer.from('89484446', 'hex'))), 65, /weights\.h5 .* HDF5/],
    ['text', importing(captioner.words), 65, /word_counts\.txt holds no weights/],
    [
      'a SavedModel by its folder',
      importing((folder) => {
        writeFileSync(join(folder, 'saved_model.pb'), '');
        return folder;
      }),
      65,
      /a SavedModel: name its variables\/variables/,
    ],
    [
      'a folder whose checkpoint file names what is gone',
      importing((folder) => {
        writeFileSync(join(folder, 'checkpoint'), 'model_checkpoint_path: "model.ckpt-9"\n');
        return folder;
      }),
      66,
      /model\.ckpt-9 does not exist/,
    ],
    ['what is not there', importing('/nowhere/model.ckpt-1'), 66, /\/nowhere\/model\.ckpt-1 does not exist/],
    [
      'unknown variables',
      importing(more('attention/weights', [1, 2])),
      65,
      /knows no place for:\n {2}attention\/weights\n/,
    ],
    [
      'another shape',
      importing(biases([11], new Float32Array(11))),
      65,
      /logits\/biases has shape \[11\] instead of \[12\]/,
    ],
    [
      'values that are not finite',
      importing(biases([12], new Float32Array(12).fill(NaN))),
      65,
      /logits\/biases has values/,
    ],
    [
      'a batch norm with a scale',
      importing(more(`${norm}/gamma`, new Array<number>(16).fill(2))),
      65,
      /gamma scales its batch norm/,
    ],
    [
      'variables saved in parts',
      importing(
        rewritten((tensor) =>
          tensor.name === 'logits/weights' ? { ...tensor, name: 'logits/weights/part_0' } : tensor,
        ),
      ),
      65,
      /logits\/weights is there in parts .*part_0/,
    ],
    [
      'a step beyond what can be read',
      importing(
        rewritten((tensor) =>
          tensor.name === 'global_step'
            ? { ...tensor, type: 'float32', values: () => Float32Array.of(2 ** 40) }
            : tensor,
        ),
      ),
      64,
      /global_step .*--step/,
    ],
    [
      'the wrong encoder',
      importing(V1, '--encoder', 'inception_v2'),
      65,
      /nothing of InceptionV2\/ .* InceptionV3\/: give that encoder/,
    ],
    [
      'an encoder that there is not',
      importing(V1, '--encoder', 'inception_v4'),
      64,
      /inception_v4.*Allowed choices are inception_v1/,
    ],
    [
      'another depth multiplier',
      importing(V1, '--depth-multiplier', '0.5'),
      65,
      /depth multiplier 0\.5/,
      /--depth-multiplier/,
    ],
    ['a picture too small for the net', importing(V1, '--image-size', '20'), 78, /imageSize/],
    [
      'a larger vocabulary',
      (folder) =>
        importing(
          V1,
          '--vocabulary',
          file('words.txt', '<S> 9\n</S> 9\n' + 'abcdefghijk'.replace(/./g, '$& 1\n'))(folder),
        )(folder),
      65,
      /words\.txt has 14 words .* 12 rows/,
    ],
    [
      'a vocabulary that is none',
      importing(V1, '--vocabulary', V1),
      65,
      /The vocabulary .*model\.ckpt-77 cannot be used/,
    ],
    [
      'a vocabulary that is not there',
      importing(V1, '--vocabulary', '/nowhere/words.txt'),
      66,
      /\/nowhere\/words\.txt/,
    ],
    ['a folder that is there', (folder) => importing(V1, '--out', folder)(folder), 73, /is there already/],
    [
      'a place below a file',
      importing(V1, '--out', join(captioner.words, 'out')),
      73,
      /out cannot be written: (ENOTDIR|EEXIST)/,
    ],
  ]);

  it('nothing that the report names as left over', async () => {
    const folder = mkdtempSync(join(root, 'case-'));
    const ones = new Array<number>(16).fill(1);
    const path = rewritten(
      (tensor) => tensor,
      [
        ...[`${norm}/gamma`, `${norm}/moving_mean/biased`, `${norm}/beta/Lion`].map((name) => ({
          ...{ name, shape: [16], type: 'float32' as const },
          values: () => Float32Array.from(ones),
        })),
        { name: 'OptimizeLoss/logits/biases/Lion_1', shape: [12], type: 'float32', values: () => new Float32Array(12) },
        { name: 'train/local_step', shape: [], type: 'int32', values: () => Int32Array.of(3) },
      ],
    )(folder);
    // By the file that names the newest.
    writeFileSync(join(folder, 'checkpoint'), 'model_checkpoint_path: "model.ckpt-7"\n');
    rmSync(`${path}.meta`, { force: true });
    const out = join(folder, 'out');
    const ended = await showtell('import', join(folder, 'checkpoint'), ...fixtureOptions, '--out', out);
    expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: '' });
    for (const line of [
      `${norm}/gamma [16]: batch norm scale of 1`,
      `${norm}/moving_mean/biased [16]: bookkeeping`,
      `${norm}/beta/Lion [16]: optimizer`,
      'OptimizeLoss/logits/biases/Lion_1 [12]: optimizer',
      'train/local_step []: bookkeeping',
    ])
      expect(ended.stdout).toContain(`left over  ${line}\n`);
  });
});

/** A copy of the run's checkpoint with a wrong byte, or cut short. */
function damaged(how: 'flip' | 'cut'): (folder: string) => string {
  return (folder) => {
    const copy = join(folder, 'damaged');
    cpSync(checkpoint, copy, { recursive: true });
    cpSync(join(run, 'word_counts.txt'), join(copy, 'word_counts.txt'));
    const tensors = join(copy, 'parameters.safetensors');
    const bytes = readFileSync(tensors);
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 0x10;
    writeFileSync(tensors, how === 'flip' ? bytes : bytes.subarray(0, 5000));
    return copy;
  };
}

const words = join(run, 'word_counts.txt');
const exporting =
  (from: string | ((folder: string) => string), ...more: readonly string[]): Arguments =>
  (folder) => [
    ...['export', typeof from === 'string' ? from : from(folder), '--format', 'tensorflow'],
    ...['--out', join(folder, 'out'), ...more],
  ];
const withOut = (...args: readonly (string | ((folder: string) => string))[]): Arguments => {
  return (folder) => [
    ...args.map((arg) => (typeof arg === 'string' ? arg : arg(folder))),
    '--out',
    join(folder, 'out'),
  ];
};

describe('checkpoint export refuses', () => {
  refuses([
    [
      'a checkpoint with a wrong byte',
      exporting(damaged('flip')),
      65,
      /damaged is damaged: parameters\.safetensors has the SHA-256/,
    ],
    ['a checkpoint cut short', exporting(damaged('cut')), 65, /parameters\.safetensors has 5000 bytes instead of/],
    ['a run that is not there', exporting('/nowhere/run'), 66, /\/nowhere\/run/],
    ['a step that is not there', exporting(`${run}@7`), 66, /00000007: no step 7/],
    ['a TensorFlow checkpoint', exporting(V1), 66, /There is no checkpoint at/],
    ['a format that there is not', exporting(run, '--format', 'onnx'), 64, /onnx.*Allowed choices/],
    ['words of another checkpoint', exporting(run, '--vocabulary', captioner.words), 65, /is not the vocabulary that/],
    ['words that are not there', exporting(run, '--vocabulary', '/nowhere/words.txt'), 66, /\/nowhere\/words\.txt/],
    ['a folder that is there', (folder) => exporting(run, '--out', folder)(folder), 73, /is there already/],
    [
      'a place below a file',
      exporting(run, '--out', join(words, 'out')),
      73,
      /out cannot be written: (ENOTDIR|EEXIST)/,
    ],
    [
      'a safetensors file that is there',
      exporting(run, '--format', 'safetensors', '--out', words),
      73,
      /is there already/,
    ],
  ]);
});

describe('checkpoint diff, average and remap refuse', () => {
  refuses([
    [
      'diff of a checkpoint with a wrong byte',
      (folder) => ['diff', run, damaged('flip')(folder)],
      65,
      /has the SHA-256/,
    ],
    ['diff of a checkpoint cut short', (folder) => ['diff', damaged('cut')(folder), run], 65, /has 5000 bytes instead/],
    ['diff with what is not there', () => ['diff', run, `${run}@two`], 64, /"two" in .*run@two is no step/],
    ['an average of one', withOut('average', run), 64, /One checkpoint has no mean/],
    ['an average with another model', withOut('average', run, other), 65, /other is not of the model of .*00000001: /],
    ['an average with a damaged one', withOut('average', run, damaged('flip')), 65, /damaged is damaged/],
    ['an average with what is not there', withOut('average', run, '/nowhere/run'), 66, /\/nowhere\/run/],
    [
      'an average into a folder that is there',
      (folder) => ['average', run, run, '--out', folder],
      73,
      /is there already/,
    ],
    [
      'a remap to more words than rows',
      withOut('remap', run, '--vocabulary', words, '--rows', '5'),
      65,
      /has 15 words .* 5 rows/,
    ],
    [
      'a remap from words that were not its own',
      withOut('remap', run, '--vocabulary', words, '--from', captioner.words),
      65,
      /is not the vocabulary that/,
    ],
    [
      'a remap to a file that is no vocabulary',
      withOut('remap', run, '--vocabulary', V1),
      65,
      /The vocabulary .* cannot be used/,
    ],
    [
      'a remap to words that are not there',
      withOut('remap', run, '--vocabulary', '/nowhere/words.txt'),
      66,
      /\/nowhere/,
    ],
    ['a remap of a damaged one', withOut('remap', damaged('cut'), '--vocabulary', words), 65, /damaged is damaged/],
    [
      'a remap into a folder that is there',
      (folder) => ['remap', run, '--vocabulary', words, '--out', folder],
      73,
      /is there already/,
    ],
  ]);

  it('nothing but damage: a diff of different models tells what differs', async () => {
    const ended = await showtell('diff', run, other);
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout).toMatch(/logits\/biases: shape \[16\] and \[12\]/);
  });
});
