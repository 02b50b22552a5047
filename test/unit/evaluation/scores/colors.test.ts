import {
  colorAccuracy,
  colorTarget,
  judgeColors,
  markColors,
  namedColors,
} from '@showtell/coordinator/evaluation/scores/colors.js';
import { describe, expect, it } from 'vitest';

const words = (text: string): string[] => text.split(' ');
const caption = (candidate: string, ...references: string[]) => ({
  candidate: words(candidate),
  references: references.map(words),
});

describe('colours', () => {
  it('takes synonyms for one colour and looks into hyphenated words', () => {
    expect(namedColors(words('a grey violet blue-and-white cup'))).toEqual(
      new Set(['gray', 'purple', 'blue', 'white']),
    );
    expect(namedColors(words('a reddish bluebird'))).toEqual(new Set());
  });

  it('asks what all references that name colours share, and allows what any names', () => {
    const target = colorTarget(['a red cup', 'a red cup on a white table', 'a cup'].map(words));
    expect(target).toEqual({ required: new Set(['red']), allowed: new Set(['red', 'white']) });
  });

  it('judges nothing where references disagree or few of them name a colour', () => {
    expect(colorTarget(['a red cup', 'an orange cup'].map(words))).toBeNull();
    expect(colorTarget(['a cup', 'a cup', 'a red cup'].map(words))).toBeNull();
    expect(colorTarget([])).toBeNull();
    expect(judgeColors(caption('a red cup', 'a cup'))).toBe('unjudged');
  });

  it.each([
    ['a red cup', 'right'],
    ['a red cup on a white table', 'right'],
    ['a white table', 'wrong'],
    ['a red and blue cup', 'wrong'],
    ['a cup', 'wrong'],
  ] as const)('%s: %s', (candidate, verdict) => {
    expect(judgeColors(caption(candidate, 'a red cup', 'a red cup on a white table'))).toBe(verdict);
  });

  it('leaves unjudged pictures out of the accuracy', () => {
    const captions = [
      caption('a red cup', 'a red cup'),
      caption('a blue cup', 'a red cup'),
      caption('a blue cup', 'a cup'),
    ];
    expect(colorAccuracy(captions)).toEqual({ accuracy: 0.5, right: 1, judged: 2 });
    expect(colorAccuracy([])).toEqual({ accuracy: 0, right: 0, judged: 0 });
  });

  it('marks the colour words of a caption without changing its text', () => {
    const pieces = markColors('A red cup, Blue-ish.', [words('a red cup')]);
    expect(pieces.map(({ text }) => text).join('')).toBe('A red cup, Blue-ish.');
    expect(pieces.filter(({ color }) => color !== null)).toEqual([
      { text: 'red', color: 'right' },
      { text: 'Blue', color: 'wrong' },
    ]);
  });
});
