/** Wheels through the real pip, from a folder instead of an index: nothing here needs a network. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silent } from '@showtell/shared/set-up/progress.js';
import { downloadWheel, sha256, unpackWheel, type Wheel } from '@showtell/shared/set-up/wheel.js';

const file = 'showtell_probe-1.0-py3-none-manylinux_2_27_x86_64.whl';
let folder: string;
let downloads: string;
let wheel: Wheel;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'showtell-wheel-'));
  downloads = join(folder, 'downloads');
  const index = join(folder, 'index');
  const source = join(folder, 'source');
  for (const path of [index, join(source, 'bin'), join(source, 'showtell_probe-1.0.dist-info')]) {
    mkdirSync(path, { recursive: true });
  }
  writeFileSync(join(source, 'bin', 'program'), '#!/bin/sh\n');
  chmodSync(join(source, 'bin', 'program'), 0o755);
  writeFileSync(join(source, 'other'), 'not asked for');
  writeFileSync(
    join(source, 'showtell_probe-1.0.dist-info', 'METADATA'),
    'Metadata-Version: 2.1\nName: showtell-probe\nVersion: 1.0\n',
  );
  writeFileSync(
    join(source, 'showtell_probe-1.0.dist-info', 'WHEEL'),
    'Wheel-Version: 1.0\nTag: py3-none-manylinux_2_27_x86_64\n',
  );
  writeFileSync(join(source, 'showtell_probe-1.0.dist-info', 'RECORD'), '');
  const made = spawnSync('python3', ['-m', 'zipfile', '-c', join(index, file), ...readdirSync(source)], {
    cwd: source,
  });
  expect(made.status).toBe(0);
  wheel = {
    project: 'showtell-probe',
    version: '1.0',
    file,
    platform: 'manylinux_2_27_x86_64',
    bytes: statSync(join(index, file)).size,
    sha256: await sha256(join(index, file)),
  };
  vi.stubEnv('PIP_NO_INDEX', '1');
  vi.stubEnv('PIP_FIND_LINKS', index);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

it('fetches a wheel for another Python and platform, checks and unpacks it', async () => {
  const got = await downloadWheel(wheel, downloads, silent);
  expect(await sha256(got)).toBe(wheel.sha256);
  const into = join(folder, 'into');
  await unpackWheel(got, ['bin/'], into);
  expect(statSync(join(into, 'bin', 'program')).mode & 0o111).toBe(0o111);
  expect(existsSync(join(into, 'other'))).toBe(false);
  await expect(unpackWheel(got, ['bin/', 'absent/'], into)).rejects.toMatchObject({ code: 'setup/unpack-failed' });
});

it('does not fetch a finished download again: neither index nor Python is needed', async () => {
  const first = await downloadWheel(wheel, downloads, silent);
  vi.stubEnv('PATH', '');
  vi.stubEnv('PIP_FIND_LINKS', join(folder, 'nowhere'));
  expect(await downloadWheel(wheel, downloads, silent)).toBe(first);
});

it('throws away what the index serves under another hash', async () => {
  const expected = { ...wheel, sha256: '0'.repeat(64) };
  await expect(downloadWheel(expected, downloads, silent)).rejects.toMatchObject({
    code: 'setup/bad-download',
    facts: { got: wheel.sha256 },
  });
  expect(readdirSync(downloads)).toEqual([]);
});

it('fetches again what was damaged in the cache, by a flipped byte or by half', async () => {
  const got = await downloadWheel(wheel, downloads, silent);
  for (const bytes of [wheel.bytes, wheel.bytes / 2]) {
    writeFileSync(got, Buffer.alloc(bytes));
    expect(await sha256(await downloadWheel(wheel, downloads, silent))).toBe(wheel.sha256);
  }
});

it('clears the leavings of a download that was cut', async () => {
  mkdirSync(join(downloads, `.fetch-${file}`), { recursive: true });
  writeFileSync(join(downloads, `.fetch-${file}`, 'half'), 'x');
  await downloadWheel(wheel, downloads, silent);
  expect(readdirSync(downloads)).toEqual([file]);
});

it("says in pip's words why a download failed", async () => {
  const absent = { ...wheel, version: '9.9', file: file.replace('1.0', '9.9') };
  await expect(downloadWheel(absent, downloads, silent)).rejects.toMatchObject({
    code: 'setup/download-failed',
    message: expect.stringContaining('showtell-probe==9.9') as string,
  });
});

it('says what to install where Python or its pip is missing', async () => {
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  vi.stubEnv('PATH', bin);
  await expect(downloadWheel(wheel, downloads, silent)).rejects.toMatchObject({ code: 'setup/no-python' });
  writeFileSync(join(bin, 'python3'), '#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "No module named pip" >&2\nexit 1\n');
  chmodSync(join(bin, 'python3'), 0o755);
  await expect(downloadWheel(wheel, downloads, silent)).rejects.toMatchObject({
    code: 'setup/no-pip',
    remedy: expect.stringMatching(/install .*pip/) as string,
  });
});
