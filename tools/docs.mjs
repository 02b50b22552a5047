#!/usr/bin/env node
// Prints the pages of docs/ that follow from the code: metrics, errors, the job file and its JSON Schema, and the tables
// of docs/cli.md. With --check it writes nothing and fails when one is stale. Needs a build: node tools/docs.mjs [--check]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { cliPage } from './docs/cli-page.mjs';
import { errorsPage } from './docs/errors-page.mjs';
import { jobJsonSchema, jobPage } from './docs/job-page.mjs';
import { metricsPage } from './docs/metrics-page.mjs';

const pages = {
  'metrics.md': metricsPage,
  'errors.md': errorsPage,
  'job.md': jobPage,
  'job.schema.json': () => JSON.stringify(jobJsonSchema()),
  'cli.md': cliPage,
};

const isCheck = process.argv.includes('--check');
for (const [name, print] of Object.entries(pages)) {
  const file = fileURLToPath(new URL(`../docs/${name}`, import.meta.url));
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const page = await format(await print(current), { ...(await resolveConfig(file)), filepath: file });
  if (page === current) continue;
  if (isCheck) {
    process.exitCode = 1;
    process.stderr.write(`docs/${name} is stale: run "npm run gen"\n`);
  } else writeFileSync(file, page);
}
