import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { frameRecord } from '@showtell/shared/data/tfrecord.js';
import { haveTensorflow } from '../../support/tensorflow.js';
import { here, jobOf, type Shape, writeFormulaCheckpoint } from './checkpoint.js';

const { shape, perplexity, words, sequences, sumOfLosses } = JSON.parse(
  readFileSync(here('perplexity.json'), 'utf8'),
) as { shape: Shape; perplexity: number; words: number; sequences: number; sumOfLosses: number };
const showtell = fileURLToPath(new URL('../../../packages/coordinator/bin/showtell.js', import.meta.url));

describe('showtell perplexity', () => {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-test-'));
  const run = join(folder, 'run');
  beforeAll(async () => {
    // Units of 10: the 24 records make whole batches and a rest. A caption of 71 words is longer than the job's longest.
    await writeFormulaCheckpoint(run, jobOf(shape, { evaluation: { unitExamples: 10 } }));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const measure = (records: string, ...more: string[]) => {
    const args = [showtell, 'perplexity', '--checkpoint', run, '--records', records, ...more];
    return spawnSync(process.execPath, args, { encoding: 'utf8' });
  };

  it.skipIf(!haveTensorflow)(
    "is evaluate.py's on im2txt's records, within 1e-4 (needs the engine: showtell engine setup)",
    () => {
      const { stdout, stderr, status } = measure(join(here('.'), 'records-?????-of-00002'), '--json');
      expect(status, stderr).toBe(0);
      expect(stderr).toBe('');
      const found = JSON.parse(stdout) as { perplexity: number; words: number; sequences: number };
      expect(found).toMatchObject({ words, sequences });
      expect(Math.abs(found.perplexity / perplexity - 1)).toBeLessThan(1e-4);
      expect(Math.abs((Math.log(found.perplexity) * words) / sumOfLosses - 1)).toBeLessThan(1e-5);
    },
  );

  it.skipIf(!haveTensorflow)('names the record whose picture does not decode (needs the engine)', () => {
    const records = join(folder, 'undecodable');
    const words = ['<S>', 'a', '</S>'];
    const pair = { imageId: 1, jpeg: Buffer.from('no picture'), words, ids: Int32Array.of(1, 0, 2) };
    writeFileSync(records, frameRecord(encodeCaptionExample(pair)));
    const { stdout, stderr, status } = measure(records);
    expect([stdout, status]).toEqual(['', 65]);
    expect(stderr).toContain(`Record 0 of ${records}`);
  });

  it('says so where no file matches, and computes nothing', () => {
    const { stdout, stderr, status } = measure(join(folder, 'val-*'));
    expect([stdout, status]).toEqual(['', 66]);
    expect(stderr).toContain(`No file matches ${join(folder, 'val-*')}.`);
  });

  it('refuses a truncated file before anything is computed', () => {
    const records = join(folder, 'truncated');
    copyFileSync(here('records-00001-of-00002'), records);
    truncateSync(records, 20_000);
    const { stdout, stderr, status } = measure(`${here('records-00000-of-00002')},${records}`, '--json');
    expect([stdout, status]).toEqual(['', 65]);
    expect(stderr).toContain(`${records} cannot be read as a TFRecord file: it ends at byte 20000`);
  });

  it('refuses words that are not those the checkpoint was trained with', () => {
    const vocabulary = join(folder, 'word_counts.txt');
    writeFileSync(vocabulary, readFileSync(here('word_counts.txt'), 'utf8').replace('w5', 'five'));
    const { stderr, status } = measure(here('records-00000-of-00002'), '--vocabulary', vocabulary);
    expect(status).toBe(65);
    expect(stderr).toContain(`${vocabulary} is not the vocabulary that the checkpoint`);
  });
});
