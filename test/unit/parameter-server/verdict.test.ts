import { describe, expect, it } from 'vitest';
import { judge, type Expected } from '@showtell/coordinator/parameter-server/verdict.js';
import { GradientHeader, Phase, WireType } from '@showtell/shared/generated/showtell/v1/parameters.js';

const id = { run: 'r', generation: 1, lineage: 1, step: 5, index: 1, attempt: 1, evaluation: false };
const sound: GradientHeader = {
  ...GradientHeader.decode(new Uint8Array()),
  ...{ unit: id, version: { generation: 1, lineage: 1, step: 5 }, worker: 'w', phase: Phase.PHASE_DECODER_ONLY },
  ...{ examples: 6, tokens: 90, lossSum: 200, skipped: [2, 7], computeSeconds: 0.5, dataSeconds: 0 },
  ...{ wireType: WireType.WIRE_TYPE_FLOAT32, segments: ['decoder', 'embedding'] },
};
const expected: Expected = {
  ...{
    run: 'r',
    generation: 1,
    lineage: 1,
    step: 5,
    phase: 'decoder-only',
    units: 4,
    unitExamples: 8,
    unitTokens: 160,
  },
  ...{ wire: 'float32', embeddingRows: 10, counted: new Map(), asynchronous: null },
};

describe('what a gradient’s header says beside its values', () => {
  it('is taken as it is where it can be', () => expect(judge(sound, expected)).toEqual({ kind: 'wanted' }));

  it.each<[string, Partial<GradientHeader>]>([
    ['a loss that is no number', { lossSum: NaN }],
    ['a time that is no number', { computeSeconds: NaN }],
    ['a time without end', { dataSeconds: Infinity }],
    ['a time below zero', { computeSeconds: -1 }],
    ['more words than its captions can have', { tokens: 161 }],
    ['more examples than it has records', { examples: 9, skipped: [] }],
    ['more records than it has', { examples: 7 }],
    ['a skipped record twice', { skipped: [2, 2] }],
    ['skipped records that do not rise', { skipped: [7, 2] }],
    ['a skipped record that is not its own', { skipped: [2, 8] }],
    ['nothing but skipped records, too many', { examples: 0, skipped: Array.from({ length: 9 }, (_, i) => i) }],
    ['an evaluation', { unit: { ...id, evaluation: true } }],
  ])('is refused where it is %s', (_, wrong) => {
    expect(judge({ ...sound, ...wrong }, expected)).toMatchObject({ kind: 'invalid' });
  });

  it('may be that no record counts', () => {
    const skipped = Array.from({ length: 8 }, (_, i) => i);
    expect(judge({ ...sound, examples: 0, tokens: 0, lossSum: 0, skipped }, expected)).toEqual({ kind: 'wanted' });
  });
});
