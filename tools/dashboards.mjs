#!/usr/bin/env node
// Writes deploy/grafana/*.json from the descriptions in tools/dashboards/. With --check it writes nothing and fails when
// one is stale. Needs no build: node tools/dashboards.mjs [--check]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { cluster } from './dashboards/cluster.mjs';
import { serving } from './dashboards/serving.mjs';
import { trainingRun } from './dashboards/training-run.mjs';

const files = { 'training-run.json': trainingRun, 'cluster.json': cluster, 'serving.json': serving };

const isCheck = process.argv.includes('--check');
for (const [name, dashboard] of Object.entries(files)) {
  const file = fileURLToPath(new URL(`../deploy/grafana/${name}`, import.meta.url));
  const current = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const wanted = await format(JSON.stringify(dashboard), { ...(await resolveConfig(file)), filepath: file });
  if (wanted === current) continue;
  if (isCheck) {
    process.exitCode = 1;
    process.stderr.write(`deploy/grafana/${name} is stale: run "npm run gen"\n`);
  } else writeFileSync(file, wanted);
}
