import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { spawn } from 'node:child_process';
import { expect, it } from 'vitest';
// @ts-expect-error: tools are plain JavaScript
import { licenceFaults as untypedFaults } from '../../../tools/dependencies/licences.mjs';
// @ts-expect-error: tools are plain JavaScript
import { satisfies as untypedSatisfies } from '../../../tools/dependencies/spdx.mjs';

interface Exceptions {
  readonly licences: readonly { package: string; licence: string; reason: string; date: string }[];
  readonly advisories: readonly { advisory: string; reason: string; date: string }[];
}
type Faults = { readonly looked: number; readonly faults: readonly string[] };
const licenceFaults = untypedFaults as (root: string, exceptions: Exceptions['licences']) => Faults;
const satisfies = untypedSatisfies as (expression: string, isAllowed: (licence: string) => boolean) => boolean;
const exceptions = JSON.parse(readFileSync('tools/dependencies/exceptions.json', 'utf8')) as Exceptions;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Asynchronously: the registry that it asks may be this process. */
function runTool(...more: string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['tools/check-dependencies.mjs', ...more]);
  let output = '';
  child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (output += piece.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, output })));
}

it.each([
  ['MIT', true],
  ['(MIT OR GPL-3.0-only)', true],
  ['MIT AND GPL-3.0-only', false],
  ['GPL-3.0-only AND (MIT OR ISC)', false],
  ['(ISC AND MIT) OR GPL-3.0-only', true],
  ['GPL-2.0-only WITH Classpath-exception-2.0', false],
])('%s is met by MIT and ISC: %s', (expression, met) => {
  expect(satisfies(expression, (one) => ['MIT', 'ISC'].includes(one))).toBe(met);
});

it.each(['', '(MIT', 'MIT OR', 'MIT ISC', 'SEE LICENSE IN file)'])('%s is no expression', (expression) => {
  expect(() => satisfies(expression, () => true)).toThrow(SyntaxError);
});

it('every installed package has a licence of the list, or an exception with its reason and date', () => {
  const { looked, faults } = licenceFaults('.', exceptions.licences);
  expect(looked).toBeGreaterThan(300);
  expect(faults).toEqual([]);
  expect(licenceFaults('.', []).faults.join()).toContain('@img/sharp-libvips-');
  for (const { reason, date } of [...exceptions.licences, ...exceptions.advisories]) {
    expect(reason.length).toBeGreaterThan(20);
    expect(date).toMatch(/^\d{4}-\d\d-\d\d$/);
  }
});

it('no package has a known fault, as far as the registry answers', async (test) => {
  const { code, output } = await runTool();
  const skipped = /^audit: skipped, .*/m.exec(output)?.[0];
  expect(code, output).toBe(0);
  if (skipped !== undefined) {
    console.log(skipped);
    test.skip(skipped);
  }
  expect(output).toContain('audit: 0 known faults');
});

it('a fault that the registry tells of fails, and names the package', async () => {
  const advisory = {
    id: 1,
    url: 'https://github.com/advisories/GHSA-aaaa-bbbb-cccc',
    title: 'It does harm',
    severity: 'high',
    vulnerable_versions: '<99.0.0',
  };
  const registry = createServer((request, response) => {
    request.resume();
    const isBulk = request.url === '/-/npm/v1/security/advisories/bulk';
    const yaml = { name: 'yaml', versions: { '2.0.0': { name: 'yaml', version: '2.0.0' } }, 'dist-tags': {} };
    if (!isBulk && request.url !== '/yaml') response.statusCode = 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(isBulk ? { yaml: [advisory] } : yaml));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => registry.once('listening', resolve));
  try {
    const { port } = registry.address() as AddressInfo;
    const { code, output } = await runTool('--registry', `http://127.0.0.1:${port}`);
    expect(output).toContain('audit: GHSA-aaaa-bbbb-cccc: yaml <99.0.0, high: It does harm');
    expect(code).toBe(1);
  } finally {
    registry.closeAllConnections();
    registry.close();
  }
});

it('a registry that does not answer is told, and is no fault', async () => {
  const { code, output } = await runTool('--registry', 'http://127.0.0.1:9');
  expect(output).toMatch(/^audit: skipped, the registry answers no audit/m);
  expect(code, output).toBe(0);
});
