import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readResults, tokenizeResults } from '@showtell/coordinator/evaluation/coco-results.js';
import type { EvaluationResult } from '@showtell/coordinator/evaluation/evaluation.js';
import {
  listEvaluations,
  loadEvaluation,
  removeUnfinished,
  saveEvaluation,
} from '@showtell/coordinator/evaluation/samples.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'showtell-samples-')), 'evaluations');
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

const result = (count: number, caption = 'a red bus'): EvaluationResult => ({
  scores: { lossPerWord: 1, words: 10, perplexity: 2.71828183, captions: null },
  images: Array.from({ length: count }, (_, i) => ({
    imageId: i + 1,
    record: { shard: 0, index: i } as never,
    captions: [
      { caption, logprob: -1.5, probabilities: [0.9, 0.5, 0.7, 0.708] },
      { caption: 'a bus', logprob: -2, probabilities: [0.9, 0.3, 0.5] },
    ],
    references: ['A red bus.', 'a bus on a road'],
  })),
});
const version = { step: 150, phase: 'decoder-only', lineage: 0 } as const;
const jpeg = async ({ imageId }: { imageId: number }): Promise<Uint8Array> => new Uint8Array([0xff, 0xd8, imageId]);

describe('saved evaluations', () => {
  it('come back as they were, with the first pictures beside them', async () => {
    const path = await saveEvaluation(folder, version, result(30), jpeg);
    expect(path).toBe(join(folder, '00000150'));
    const saved = await loadEvaluation(folder, 150);
    expect(saved).toMatchObject({ ...version, scores: result(30).scores });
    expect(saved.captions).toHaveLength(30);
    expect(saved.captions[0]).toEqual({
      image_id: 1,
      caption: 'a red bus',
      captions: result(1).images[0]?.captions,
      references: ['A red bus.', 'a bus on a road'],
      image: 'images/1.jpg',
    });
    expect(readFileSync(join(folder, 'images/7.jpg'))[2]).toBe(7);
    expect(saved.captions.filter(({ image }) => image !== null)).toHaveLength(24);
    expect(readdirSync(join(folder, 'images'))).toHaveLength(24);
  });

  it('replace an earlier try at the same step, also one that broke off', async () => {
    mkdirSync(join(folder, '00000150.partial'), { recursive: true });
    writeFileSync(join(folder, '00000150.partial', 'old'), '');
    await saveEvaluation(folder, version, result(2), jpeg);
    await saveEvaluation(folder, { ...version, lineage: 1 }, result(1, 'a blue bus'), async () => {
      throw new Error('the picture is kept already');
    });
    const saved = await loadEvaluation(folder, 150);
    expect(saved.lineage).toBe(1);
    expect(saved.captions.map(({ caption }) => caption)).toEqual(['a blue bus']);
    expect(readdirSync(folder).sort()).toEqual(['00000150', 'images']);
    expect(existsSync(join(folder, '00000150', 'old'))).toBe(false);
  });

  it('leave nothing of themselves when a picture cannot be read', async () => {
    const failing = saveEvaluation(folder, version, result(2), async () => {
      throw new Error('gone');
    });
    await expect(failing).rejects.toThrow('gone');
    expect(await listEvaluations(folder)).toEqual([]);
  });

  it('leave nothing half written when they cannot be, and what a kill left goes', async () => {
    const unwritable = { ...result(1), scores: { ...result(1).scores, words: 10n as never } };
    await expect(saveEvaluation(folder, version, unwritable, jpeg)).rejects.toThrow(TypeError);
    expect(readdirSync(folder)).toEqual(['images']);
    await saveEvaluation(folder, version, result(1), jpeg);
    mkdirSync(join(folder, '00000300.partial'));
    writeFileSync(join(folder, '00000300.partial', 'scores.json.tmp'), '{');
    writeFileSync(join(folder, 'images', '9.jpg.tmp'), '');
    await removeUnfinished(folder);
    expect(readdirSync(folder).sort()).toEqual(['00000150', 'images']);
    expect(readdirSync(join(folder, 'images'))).toEqual(['1.jpg']);
    await removeUnfinished(join(folder, 'none'));
  });

  it('are listed by step', async () => {
    expect(await listEvaluations(folder)).toEqual([]);
    for (const step of [300, 0, 1_000_000]) await saveEvaluation(folder, { ...version, step }, result(1), jpeg);
    expect(await listEvaluations(folder)).toEqual([0, 300, 1_000_000]);
  });

  it("keep captions in COCO's results format", async () => {
    const path = await saveEvaluation(folder, version, result(2), jpeg);
    const annotations = join(folder, 'truth.json');
    const ids = [1, 2, 3];
    writeFileSync(
      annotations,
      JSON.stringify({
        images: ids.map((id) => ({ id })),
        annotations: ids.map((id) => ({ image_id: id, caption: 'a bus' })),
      }),
    );
    const results = join(path, 'captions.json');
    const scored = tokenizeResults(await readResults({ annotations, results, partial: true }));
    expect(scored.map(({ candidate }) => candidate.join(' '))).toEqual(['a red bus', 'a red bus']);
  });
});
