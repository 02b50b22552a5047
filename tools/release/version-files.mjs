import { readFileSync } from 'node:fs';

const packages = ['shared', 'worker', 'coordinator'];

/** The version after `current`: a word of Semantic Versioning, or itself if it is a later one. @throws Error otherwise */
export function nextVersion(current, asked) {
  const numbers = current.split('.').map(Number);
  const place = ['major', 'minor', 'patch'].indexOf(asked);
  if (place >= 0) return numbers.map((n, i) => (i < place ? n : i === place ? n + 1 : 0)).join('.');
  if (!/^\d+\.\d+\.\d+$/.test(asked ?? '')) throw new Error('give major, minor, patch or a version such as 0.2.0');
  const at = asked.split('.').findIndex((n, i) => Number(n) !== numbers[i]);
  if (at < 0 || Number(asked.split('.')[at]) < numbers[at]) throw new Error(`${asked} is not after ${current}`);
  return asked;
}

/** The files that name the version by hand, as they are to be: content by path. What is generated follows from them. */
export function withVersion(version) {
  const edits = new Map();
  for (const path of ['package.json', ...packages.map((name) => `packages/${name}/package.json`)])
    edits.set(path, json(stamp(parse(path), version)));
  const lock = parse('package-lock.json');
  for (const [at, locked] of Object.entries(lock.packages))
    if (at === '' || packages.some((name) => at === `packages/${name}`)) stamp(locked, version);
  edits.set('package-lock.json', json({ ...lock, version }));
  const module = 'packages/shared/src/version.ts';
  edits.set(module, readFileSync(module, 'utf8').replace(/(?<=version = )'[^']+'/, `'${version}'`));
  return edits;
}

/** The packages are of one version and want each other's exactly: coordinator and workers of a run must be alike. */
function stamp(manifest, version) {
  manifest.version = version;
  for (const name of packages)
    if (manifest.dependencies?.[`@showtell/${name}`] !== undefined)
      manifest.dependencies[`@showtell/${name}`] = version;
  return manifest;
}

const parse = (path) => JSON.parse(readFileSync(path, 'utf8'));
const json = (value) => `${JSON.stringify(value, null, 2)}\n`;
