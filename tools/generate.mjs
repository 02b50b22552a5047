#!/usr/bin/env node
// Writes what is generated and committed: the gRPC code from proto/, the pages of docs/, the manifests of deploy/k8s/,
// the dashboards of deploy/grafana/ and the rules of deploy/prometheus/ that follow from the code.
// With --check it writes nothing and fails, naming each stale file. Works offline. Needs a build.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const generatedCode = 'packages/shared/src/generated';
const isCheck = process.argv.includes('--check');

/** Runs a program of the project from its root. @throws when it fails, after its own words */
function run(program, ...args) {
  const { status, error } = spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: 'inherit' });
  if (error !== undefined) throw error;
  return status === 0;
}

/** Every file under a folder with its content, by relative path. */
function contents(folder) {
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .map((file) => [file.slice(folder.length + 1), readFileSync(file, 'utf8')]),
  );
}

function isCodeFresh() {
  const beside = mkdtempSync(join(tmpdir(), 'showtell-generate-'));
  try {
    if (!run('node_modules/@bufbuild/buf/bin/buf', 'generate', '--output', beside)) return false;
    const made = contents(join(beside, generatedCode));
    const committed = contents(join(root, generatedCode));
    const names = [...new Set([...made.keys(), ...committed.keys()])].sort();
    const stale = names.filter((name) => made.get(name) !== committed.get(name));
    for (const name of stale) process.stderr.write(`${generatedCode}/${name} is stale: run "npm run gen"\n`);
    return stale.length === 0;
  } finally {
    rmSync(beside, { recursive: true });
  }
}

const isCodeDone = isCheck ? isCodeFresh() : run('node_modules/@bufbuild/buf/bin/buf', 'generate');
const areDocsDone = run('tools/docs.mjs', ...(isCheck ? ['--check'] : []));
const areManifestsDone = run('tools/manifests.mjs', ...(isCheck ? ['--check'] : []));
const isObservabilityDone = run(
  'node_modules/tsx/dist/cli.mjs',
  'tools/observability.ts',
  ...(isCheck ? ['--check'] : []),
);
process.exitCode = isCodeDone && areDocsDone && areManifestsDone && isObservabilityDone ? 0 : 1;
