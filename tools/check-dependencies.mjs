#!/usr/bin/env node
// Looks at licences and known faults of every package that is installed. What is accepted stands with its reason and date in
// tools/dependencies/exceptions.json.
//   node tools/check-dependencies.mjs [--registry URL]
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { audit } from './dependencies/audit.mjs';
import { licenceFaults } from './dependencies/licences.mjs';

const { values } = parseArgs({ options: { registry: { type: 'string' } } });
const root = fileURLToPath(new URL('..', import.meta.url));
const exceptions = JSON.parse(readFileSync(new URL('dependencies/exceptions.json', import.meta.url), 'utf8'));
const licences = licenceFaults(root, exceptions.licences);
const known = audit(root, exceptions.advisories, values);
const say = (text) => process.stdout.write(`${text}\n`);

for (const fault of licences.faults) say(`licence: ${fault}`);
say(`licences: ${licences.looked} packages, ${licences.faults.length} not on the list`);
for (const fault of known.faults) say(`audit: ${fault}`);
say(known.skipped === null ? `audit: ${known.faults.length} known faults` : `audit: skipped, ${known.skipped}`);
process.exitCode = licences.faults.length + known.faults.length === 0 ? 0 : 1;
