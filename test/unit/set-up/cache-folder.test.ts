import { homedir } from 'node:os';
import { expect, it } from 'vitest';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';

it.each([
  [{ SHOWTELL_CACHE: '/big/disk', XDG_CACHE_HOME: '/x' }, '/big/disk'],
  [{ XDG_CACHE_HOME: '/x' }, '/x/showtell'],
  [{ XDG_CACHE_HOME: 'relative' }, `${homedir()}/.cache/showtell`],
  [{ SHOWTELL_CACHE: '' }, `${homedir()}/.cache/showtell`],
])('%j means %s', (environment, folder) => {
  expect(cacheFolder(environment)).toBe(folder);
});
