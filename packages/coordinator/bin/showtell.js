#!/usr/bin/env node
// The command's door: builds the workspace on first use in a fresh clone, then hands over.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(main)) {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  process.stderr.write('showtell: compiling the workspace, once …\n');
  const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (built.status !== 0) {
    process.stderr.write(`showtell: the build failed; run "npm ci && npm run build" in ${root} and read its output\n`);
    process.exit(70);
  }
}
await import(main.href);
