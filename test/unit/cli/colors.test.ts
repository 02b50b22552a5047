import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { colorsFor, wantsColors } from '@showtell/coordinator/cli/colors.js';

const terminal = { isTTY: true };
/** As Node has it: a pipe or a file has no `isTTY` at all. */
const file = {};

it.each([
  ['a terminal', terminal, {}, true],
  ['a terminal that knows no colours', terminal, { TERM: 'dumb' }, false],
  ['a file', file, {}, false],
  ['a file in CI', file, { CI: 'true' }, false],
  ['a file, colours forced', file, { FORCE_COLOR: '1' }, true],
  ['a file, colours forced by the bare name', file, { FORCE_COLOR: '' }, true],
  ['a terminal, colours forced off', terminal, { FORCE_COLOR: '0' }, false],
  ['a terminal with NO_COLOR', terminal, { NO_COLOR: '1' }, false],
  ['a terminal with NO_COLOR empty, which counts as unset', terminal, { NO_COLOR: '' }, true],
  ['NO_COLOR and FORCE_COLOR', terminal, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
])('%s', (_what, stream, env, expected) => {
  expect(wantsColors(stream, env)).toBe(expected);
  expect(colorsFor(stream, env).red('text') !== 'text').toBe(expected);
});

it('writes an error to a pipe without colours in CI, and with them when told', async () => {
  const showtell = fileURLToPath(new URL('../../../packages/coordinator/bin/showtell.js', import.meta.url));
  const stderr = (more: Record<string, string>): Promise<string> => {
    const unset = { NO_COLOR: undefined, FORCE_COLOR: undefined };
    return new Promise((resolve) => {
      execFile(
        process.execPath,
        [showtell, 'status', '/nowhere'],
        { env: { ...process.env, ...unset, ...more } },
        (_error, _out, text) => resolve(text),
      );
    });
  };
  const inCi = await stderr({ CI: 'true' });
  expect(inCi).toMatch(/^error /);
  expect(inCi).not.toContain('\x1b');
  expect(await stderr({ CI: 'true', FORCE_COLOR: '1' })).toContain('\x1b[31merror');
});
