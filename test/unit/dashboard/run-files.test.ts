import { appendFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { openInside } from '@showtell/coordinator/dashboard/open-inside.js';
import { RunFiles } from '@showtell/coordinator/dashboard/run-files.js';
import { Journal } from '@showtell/coordinator/journal.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

let folder: RunFolder;
beforeEach(() => {
  folder = new RunFolder(join(temporaryFolder(), 'run'));
  folder.begin(
    {
      run: 'r-1',
      created: '2026-01-01T00:00:00.000Z',
      version: '0',
      jobSha256: 'a',
      datasetDigest: 'b',
      vocabularySha256: 'c',
      encoderWeightsSha256: null,
      forkedFrom: null,
    },
    parseJob({ name: 'r', phases: { decoderOnly: { steps: 10 }, joint: { steps: 10 } } }),
  );
});

const account = (): string => folder.at('steps.jsonl');
/** Loss and seconds that can be told apart again. */
const line = (step: number, loss = step): string =>
  `${JSON.stringify({ step, generation: 1, lineage: 1, phase: 'joint', loss, gradientNorm: 1, learningRate: 1, seconds: 1, units: [{ index: 0, worker: 'w', attempt: 1, examples: 8 }] })}\n`;
const lines = (from: number, to: number, loss?: number): string =>
  Array.from({ length: to - from }, (_, i) => line(from + i, loss)).join('');
const losses = ({ history }: RunFiles) => history.part(0, 1e9, 1e6).loss.mean;

describe("a run's account as it grows", () => {
  it('is read on from where it was, and a torn last line when it is whole', async () => {
    const files = new RunFiles(folder);
    await files.refresh();
    expect(files.history.count).toBe(0);
    writeFileSync(account(), lines(0, 3) + line(3).slice(0, 40));
    await files.refresh();
    expect(files.history.last).toBe(3);
    appendFileSync(account(), line(3).slice(40) + line(4));
    await files.refresh();
    expect(losses(files)).toEqual([0, 1, 2, 3, 4]);
    expect(files.history.revision).toBe(0);
  });

  it('is read anew when it was cut back, also when it has grown past that meanwhile', async () => {
    const files = new RunFiles(folder);
    writeFileSync(account(), lines(0, 6));
    await files.refresh();
    truncateSync(account(), lines(0, 2).length);
    await files.refresh();
    expect(losses(files)).toEqual([0, 1]);
    writeFileSync(account(), lines(0, 2) + lines(2, 9, 77.123));
    await files.refresh();
    expect(losses(files)).toEqual([0, 1, ...Array.from({ length: 7 }, () => 77.123)]);
  });

  it('leaves out lines that are none, once and for all', async () => {
    const files = new RunFiles(folder);
    writeFileSync(account(), `${lines(0, 2)}what is this\n{}\n${lines(2, 4)}`);
    await files.refresh();
    await files.refresh();
    appendFileSync(account(), line(4));
    await files.refresh();
    expect(losses(files)).toEqual([0, 1, 2, 3, 4]);
  });

  it('is read in pieces, so that fifty thousand steps hold nobody up', async () => {
    writeFileSync(account(), lines(0, 50_000));
    const files = new RunFiles(folder);
    let turns = 0;
    const others = (): void => {
      turns++;
      waiting = setImmediate(others);
    };
    let waiting = setImmediate(others);
    await files.refresh();
    clearImmediate(waiting);
    expect(files.history.last).toBe(50_000);
    expect(turns).toBeGreaterThan(20);
    expect(JSON.stringify(files.history.part(0, 50_000, 600)).length).toBeLessThan(200_000);
  });
});

it("tells a rolled-back run's evaluations as its parameters came by them", async () => {
  using journal = Journal.open(folder.at('journal.jsonl'), () => undefined);
  const scores = { lossPerWord: 1, words: 1, perplexity: 2.5, captions: null };
  const evaluation = (step: number, lineage: number) =>
    journal.append({ type: 'evaluation', step, lineage, phase: step > 10 ? 'joint' : 'decoder-only', scores });
  journal.append({ type: 'generation', generation: 1, fromStep: null });
  for (const step of [0, 10, 15, 20]) {
    evaluation(step, 1);
    if (step === 10) journal.append({ type: 'switch', step, lineage: 1, reason: 'enough' });
  }
  const files = new RunFiles(folder);
  await files.refresh();
  expect(files.summary).toMatchObject({ switchedAt: 10, totalSteps: 20, outcome: null });
  journal.append({ type: 'rollback', atStep: 20, toStep: 10, lineage: 2, reason: 'worse' });
  journal.append({ type: 'finished', step: 10, phase: 'decoder-only', outcome: 'rolled-back', reason: 'worse' });
  await files.refresh();
  expect(files.summary.evaluations.map(({ step }) => step)).toEqual([0, 10]);
  expect(files.summary).toMatchObject({ switchedAt: null, outcome: { outcome: 'rolled-back', reason: 'worse' } });
  expect(files.summary.moments.map(({ kind }) => kind)).toEqual(['began', 'switch', 'rollback', 'finished']);
});

describe('a file inside a folder', () => {
  it('is opened by names, and by nothing that leads elsewhere', async () => {
    const outside = temporaryFolder();
    writeFileSync(join(outside, 'secret.json'), 'secret');
    mkdirSync(folder.at('checkpoints', '00000001'), { recursive: true });
    writeFileSync(folder.at('checkpoints', '00000001', 'manifest.json'), '{}');
    symlinkSync(join(outside, 'secret.json'), folder.at('checkpoints', '00000001', 'link.json'));
    symlinkSync(outside, folder.at('checkpoints', '00000002'));
    symlinkSync(folder.path, join(outside, 'run'));
    const open = async (...names: string[]): Promise<string | null> => {
      const handle = await openInside(folder.path, ...names);
      const text = handle === null ? null : await handle.readFile('utf8');
      await handle?.close();
      return text;
    };
    expect(await open('checkpoints', '00000001', 'manifest.json')).toBe('{}');
    const byLink = await openInside(join(outside, 'run'), 'checkpoints', '00000001', 'manifest.json');
    expect(byLink).not.toBeNull();
    await byLink?.close();
    for (const names of [
      ['checkpoints', '00000001', 'link.json'],
      ['checkpoints', '00000002', 'secret.json'],
      ['checkpoints', '00000001'],
      ['checkpoints', '..', 'run.json'],
      ['..', 'run', 'run.json'],
      ['checkpoints/00000001', 'manifest.json'],
      ['checkpoints', '00000001', 'manifest.json\0'],
      ['', 'run.json'],
      ['absent'],
    ])
      expect(await open(...names), names.join()).toBeNull();
  });
});
