import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Parts of it come within the worker's package (`tools/vendor-tfjs-node.mjs`). */
const vendored = '@tensorflow/tfjs-node-gpu';

/**
 * What is installed to run showtell, of an npm lock file: showtell's packages and all that they depend on, without what is for
 * development. @param folder leaves out what is not there
 */
export function npmPackages(lockFile, folder) {
  const { packages } = JSON.parse(readFileSync(lockFile, 'utf8'));
  const found = Object.entries(packages)
    .filter(([at, { dev, devOptional, link }]) => (at !== '' && !dev && !devOptional && !link) || at.endsWith(vendored))
    .filter(([at]) => folder === undefined || at.startsWith('packages/') || existsSync(join(folder, at)))
    .map(([at, locked]) => component(nameOf(at), locked));
  if (folder !== undefined) {
    const manifest = join(folder, 'node_modules/@showtell/worker/vendor/tfjs-node/package.json');
    if (existsSync(manifest)) found.push(component(vendored, JSON.parse(readFileSync(manifest, 'utf8'))));
  }
  // One package may lie in several places.
  return [...new Map(found.map((each) => [each.purl, each])).values()];
}

const nameOf = (at) => at.replace(/^.*node_modules\//, '').replace(/^packages\//, '@showtell/');

function component(name, { version, license, integrity, optional = false }) {
  const [algorithm, digest] = integrity?.split('-') ?? [];
  const content = digest === undefined ? undefined : Buffer.from(digest, 'base64').toString('hex');
  const alg = { sha512: 'SHA-512', sha1: 'SHA-1', sha256: 'SHA-256' }[algorithm];
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  return {
    type: 'library',
    name,
    version,
    purl,
    'bom-ref': purl,
    ...(optional ? { scope: 'optional' } : {}),
    ...(content === undefined ? {} : { hashes: [{ alg, content }] }),
    ...(license === undefined ? {} : { licenses: [licenceOf(license)] }),
  };
}

const licenceOf = (text) =>
  / (OR|AND|WITH) /.test(text) ? { expression: text.replace(/^\((.*)\)$/, '$1') } : { license: { id: text } };
