#!/usr/bin/env node
// Prints a bill of materials (CycloneDX 1.6, JSON): of the npm packages, or of an image whose file system was unpacked at ROOT.
// The same input gives the same bytes: no date, no random number. Works offline; an image with the engine needs a build.
//   node tools/sbom.mjs [ROOT]
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { debianPackages, node, pythonWheels } from './sbom/image.mjs';
import { npmPackages } from './sbom/npm.mjs';

const [root] = process.argv.slice(2);
const repository = fileURLToPath(new URL('..', import.meta.url));
const components =
  root === undefined
    ? npmPackages(join(repository, 'package-lock.json'))
    : [
        ...npmPackages(join(root, 'opt/showtell/node_modules/.package-lock.json'), join(root, 'opt/showtell')),
        ...debianPackages(root),
        ...node(root),
        ...(existsSync(join(root, 'var/cache/showtell/engine')) ? await pythonWheels(root) : []),
      ];
components.sort((a, b) => (a.purl < b.purl ? -1 : a.purl > b.purl ? 1 : 0));
const own = components.find(({ name }) => name === '@showtell/coordinator');
const bill = {
  $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  version: 1,
  metadata: {
    component: { type: root === undefined ? 'application' : 'container', name: 'showtell', version: own.version },
  },
  components,
};
process.stdout.write(`${JSON.stringify(bill, null, 2)}\n`);
