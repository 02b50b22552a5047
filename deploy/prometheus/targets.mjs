#!/usr/bin/env node
// Writes what Prometheus is to scrape of the runs on this machine, as its file_sd reads it: each process of a run says in
// RUN/processes where its /metrics is. Needs a build.
//
//   node deploy/prometheus/targets.mjs [--out FILE] [--watch] RUN|FOLDER|HOST:PORT…
//
// FOLDER has runs in it; HOST:PORT is a "showtell serve". --watch looks again every two seconds, until Ctrl-C.
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { announcedProcess } from '@showtell/shared/service/process-file.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: fileURLToPath(new URL('targets.json', import.meta.url)) },
    watch: { type: 'boolean', default: false },
  },
});
if (positionals.length === 0) {
  process.stderr.write('usage: node deploy/prometheus/targets.mjs [--out FILE] [--watch] RUN|FOLDER|HOST:PORT…\n');
  process.exit(64);
}

/** The labels that the rules and dashboards tell runs apart by, as on Kubernetes. */
const target = (address, run, component) => ({
  targets: [address],
  labels: { namespace: hostname(), app_kubernetes_io_instance: run, app_kubernetes_io_component: component },
});

/** A role's component, as on Kubernetes. */
const componentOf = (role) => (role === 'parameter-server' ? 'ps' : role);

const isServer = (place) => /^[^/]+:\d+$/u.test(place);
const isFolder = (place) => existsSync(place) && statSync(place).isDirectory();

/** A run, or the runs in a folder. */
function runsIn(place) {
  if (!isFolder(place) || existsSync(join(place, 'run.json'))) return [place];
  return readdirSync(place)
    .map((name) => join(place, name))
    .filter((path) => existsSync(join(path, 'run.json')));
}

/** The processes of a run on this machine that serve /metrics. */
function targetsOf(run) {
  const folder = join(run, 'processes');
  if (!isFolder(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => announcedProcess(run, name.slice(0, -'.json'.length)))
    .filter((found) => found?.http !== undefined && found.host === hostname())
    .map(({ http, role }) => target(new URL(http).host, basename(resolve(run)), componentOf(role)));
}

function write() {
  const found = positionals.flatMap((place) =>
    isServer(place) ? [target(place, 'serve', 'serve')] : runsIn(place).flatMap(targetsOf),
  );
  const text = `${JSON.stringify(found, null, 2)}\n`;
  if (existsSync(values.out) && readFileSync(values.out, 'utf8') === text) return;
  writeFileSync(`${values.out}.tmp`, text);
  renameSync(`${values.out}.tmp`, values.out);
  process.stdout.write(`${found.length} processes in ${values.out}\n`);
}

write();
while (values.watch) {
  await delay(2_000);
  write();
}
