import { expect, it } from 'vitest';
import { Verdict, PushGradientResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { isSealed, seal } from '@showtell/shared/rpc/seal.js';

const message = PushGradientResponse.encode({ verdict: Verdict.VERDICT_STALE, detail: 'of an older version' }).finish();

it('a sealed message reads as before, also to whoever knows of no seals', () => {
  const sealed = seal(message);
  expect(isSealed(sealed)).toBe(true);
  expect(PushGradientResponse.decode(sealed)).toEqual(PushGradientResponse.decode(message));
});

it('no bit of it, and none of its seal, may change; nor may it be cut or lack the seal', () => {
  const sealed = seal(message);
  for (let bit = 0; bit < sealed.length * 8; bit++) {
    const damaged = Buffer.from(sealed);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(isSealed(damaged)).toBe(false);
  }
  for (let end = 0; end < sealed.length; end++) expect(isSealed(sealed.subarray(0, end))).toBe(false);
  expect(isSealed(message)).toBe(false);
});

it('an empty message has a seal too', () => {
  expect(isSealed(seal(new Uint8Array()))).toBe(true);
  expect(isSealed(new Uint8Array())).toBe(false);
});

it('lies anywhere in memory', () => {
  const around = Buffer.concat([Buffer.from('xyz'), seal(message), Buffer.from('xyz')]);
  expect(isSealed(new Uint8Array(around.buffer, around.byteOffset + 3, around.length - 6))).toBe(true);
});
