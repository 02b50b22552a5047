import { expect, it } from 'vitest';
import { killWhileWriting } from '../support/killed-writing.js';

it('a kill at any of 200 places of a checkpoint’s writing leaves the one before it usable', async () => {
  expect(await killWhileWriting(200)).toBeGreaterThanOrEqual(200);
});
