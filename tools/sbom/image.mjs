import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const component = (type, name, version, purl, more = {}) => ({ type, name, version, purl, 'bom-ref': purl, ...more });

/** Debian's packages, by dpkg's own account. */
export function debianPackages(root) {
  return readFileSync(join(root, 'var/lib/dpkg/status'), 'utf8')
    .split('\n\n')
    .map((block) => Object.fromEntries([...block.matchAll(/^([\w-]+): (.*)$/gm)].map(([, key, value]) => [key, value])))
    .filter(({ Status }) => Status === 'install ok installed')
    .map(({ Package: name, Version: version, Architecture: architecture }) =>
      component(
        'library',
        name,
        version,
        `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?arch=${architecture}`,
      ),
    );
}

/** Node itself, which its images bring as files, not as a package. */
export function node(root) {
  const header = join(root, 'usr/local/include/node/node_version.h');
  if (!existsSync(header)) return [];
  const text = readFileSync(header, 'utf8');
  const numbers = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`NODE_${part}_VERSION (\\d+)`).exec(text)[1]);
  const version = numbers.join('.');
  return [component('platform', 'node', version, `pkg:generic/node@${version}`)];
}

/** The wheels that the engine was unpacked from, with the hashes that were checked. */
export async function pythonWheels(root) {
  const { engineWheels } = await import('../../packages/worker/dist/engine/tensorflow/wheels.js');
  return readdirSync(join(root, 'var/cache/showtell/engine'))
    .map((name) => /^tensorflow-.*-(cpu|cuda)$/.exec(name)?.[1])
    .filter((kind) => kind !== undefined)
    .flatMap((kind) => {
      const { tensorflow, libraries } = engineWheels(kind);
      return [tensorflow, ...libraries];
    })
    .map(({ project: name, version, sha256 }) => {
      const hashes = [{ alg: 'SHA-256', content: sha256 }];
      return component('library', name, version, `pkg:pypi/${name}@${version}`, { hashes });
    });
}
