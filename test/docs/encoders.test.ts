import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { costOf } from '@showtell/shared/model/cost.js';
import { type EncoderName, encoders, featuresOf } from '@showtell/shared/model/parameters.js';
import { smallestSize } from '@showtell/shared/model/smallest-size.js';

const page = readFileSync(new URL('../../docs/encoders.md', import.meta.url), 'utf8');
const decoder = { embedding: 512, units: 512, vocabulary: 12_000, initScale: 0.08 };
const digits = (value: number): string => value.toLocaleString('en-US');

describe('docs/encoders.md', () => {
  it.each(Object.keys(encoders) as EncoderName[])('has the figures of the table of %s', (name) => {
    const { nativeSize } = encoders[name];
    const { parameters, encoderMultiplyAdds } = costOf({
      encoder: { name, depthMultiplier: 1, imageSize: nativeSize },
      decoder,
    });
    const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``) && line.includes('%'));
    const cells = row?.split('|').map((cell) => cell.trim());
    expect(cells?.slice(2, 7)).toEqual([
      digits(parameters.encoder + parameters.statistics),
      digits(encoderMultiplyAdds),
      `${nativeSize} px`,
      digits(featuresOf({ name, depthMultiplier: 1 })),
      `${smallestSize({ name })} px`,
    ]);
  });
});
