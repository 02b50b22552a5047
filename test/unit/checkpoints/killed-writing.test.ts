import { expect, it } from 'vitest';
import { killWhileWriting } from '../../support/killed-writing.js';

it('a kill at any place of a checkpoint’s writing leaves the one before it usable (200 places in npm run test:long)', async () => {
  expect(await killWhileWriting(12)).toBeGreaterThanOrEqual(12);
}, 300_000);
