import { describe, expect, it } from 'vitest';
import { decodeFault } from '@showtell/coordinator/data/picture-check.js';
import { plainPicture } from '../../support/coco-set.js';

describe('why a picture does not decode', () => {
  it('is told whatever other pictures are decoded at the same time', async () => {
    const whole = await plainPicture(1).jpeg().toBuffer();
    const cut = whole.subarray(0, whole.length - 40);
    const pairs = Array.from({ length: 300 }, () => Promise.all([decodeFault(whole), decodeFault(cut)]));
    for (const [none, fault] of await Promise.all(pairs)) {
      expect(none).toBeNull();
      expect(fault).toMatch(/premature end/i);
    }
  });
});
