import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmPackages } from '../sbom/npm.mjs';
import { satisfies } from './spdx.mjs';

/** Of what is installed with showtell: asks for no more than to keep the notices. */
const shipped = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'Python-2.0',
  'Unlicense',
]);
/** What is only used to build and test is given to nobody. */
const development = new Set([...shipped, 'CC-BY-4.0', 'CC0-1.0', 'MPL-2.0']);

/**
 * Packages whose licence is not on the list, as lines. Read from what is installed: the lock file repeats what a registry said.
 * @param {string} root of the repository
 * @param {readonly { package: string, licence: string, reason: string, date: string }[]} exceptions
 */
export function licenceFaults(root, exceptions) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const bill = new Set(npmPackages(join(root, 'package-lock.json')).map(({ name }) => name));
  const faults = new Set();
  const used = new Set();
  let looked = 0;
  for (const [at, { link }] of Object.entries(packages)) {
    const manifest = join(root, at, 'package.json');
    if (at === '' || link || !existsSync(manifest)) continue;
    looked++;
    const { name, version, license } = JSON.parse(readFileSync(manifest, 'utf8'));
    const licence = typeof license === 'string' ? license : (license?.type ?? 'none');
    const exception = exceptions.find((each) => matches(each.package, name) && each.licence === licence);
    if (exception !== undefined) used.add(exception);
    else if (!isMet(licence, bill.has(name) ? shipped : development))
      faults.add(`${name}@${version} is ${licence}${bill.has(name) ? '' : ' (development)'}`);
  }
  for (const each of exceptions)
    if (!used.has(each) && !each.package.endsWith('*')) faults.add(`the exception for ${each.package} is for nothing`);
  return { looked, faults: [...faults].sort() };
}

function isMet(licence, allowed) {
  try {
    return satisfies(licence, (one) => allowed.has(one));
  } catch {
    return false;
  }
}

const matches = (pattern, name) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name);
