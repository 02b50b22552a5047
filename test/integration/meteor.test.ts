/** METEOR's program at fault: programs of these names in its place, that do what the real one should not. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { meteor } from '@showtell/coordinator/evaluation/scores/meteor.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const captions = [{ candidate: ['a', 'bus'], references: [['a', 'red', 'bus']] }];

it.each([
  ['ends at once', 'echo "Error: Could not find or load main class" >&2; exit 1', /exit status 1.*Could not find/su],
  ['is killed', 'kill -9 $$', /SIGKILL/u],
  ['says what is no score', 'read line; echo "Error: no reference"; sleep 60', /answered "Error: no reference"/u],
  ['says nothing', 'exec sleep 60', /said nothing for 0.5 s/u],
])('a program that %s is a clear error, at once', async (_what, lines, words) => {
  const folder = temporaryFolder();
  const java = join(folder, 'java');
  writeFileSync(java, `#!/bin/sh\n${lines}\n`);
  chmodSync(java, 0o755);
  const began = performance.now();
  const attempt = meteor({ java, jar: join(folder, 'meteor-1.5.jar') }, captions, 500);
  await expect(attempt).rejects.toMatchObject({ code: 'meteor/failed' });
  await expect(attempt).rejects.toThrow(words);
  expect(performance.now() - began).toBeLessThan(10_000);
});

it('a program that cannot be started is one too', async () => {
  const folder = temporaryFolder();
  const attempt = meteor({ java: join(folder, 'absent'), jar: join(folder, 'meteor-1.5.jar') }, captions, 5_000);
  await expect(attempt).rejects.toMatchObject({
    code: 'meteor/failed',
    message: expect.stringContaining('ENOENT') as string,
  });
});
