import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('a program ends as soon as the channel to the one that leads it closes', async () => {
  const program = fork(fileURLToPath(new URL('../../support/led-process.mjs', import.meta.url)));
  await once(program, 'message');
  const ended = once(program, 'exit');
  program.disconnect();
  expect(await ended).toEqual([null, 'SIGKILL']);
});
