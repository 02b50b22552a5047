// Runs jazzer.js on entry.ts in this process, as main.ts starts it: --import tsx jazzer.mjs [--sync] LIBFUZZER-ARGUMENT…
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forOlderGlibc } from './older-glibc.ts';

const require = createRequire(import.meta.url);
loadAddonsForOlderGlibc();
const { OptionsManager, OptionSource, startFuzzing } = require('@jazzer.js/core');
const own = process.argv.slice(2);
const options = new OptionsManager(OptionSource.DefaultCLIOptions).merge(
  {
    fuzzTarget: fileURLToPath(new URL('entry.ts', import.meta.url)),
    includes: ['packages/shared/dist', 'packages/coordinator/dist', 'packages/worker/dist'],
    sync: own.includes('--sync'),
    // It stands in the place of libFuzzer's own argument.
    timeout: 60_000,
    // What they look for needs paths and commands that come from the input; here files are the harness's own.
    disableBugDetectors: ['command-injection', 'path-traversal', 'ssrf'],
    fuzzerOptions: own.filter((argument) => argument !== '--sync'),
  },
  OptionSource.CommandLineArguments,
);
const { returnCode } = await startFuzzing(options);
process.exit(returnCode);

/** Linux's addon asks for a newer glibc than Debian 12 and Ubuntu 22.04 have, and needs nothing of it. */
function loadAddonsForOlderGlibc() {
  const load = Module._extensions['.node'];
  Module._extensions['.node'] = (module, file) => {
    try {
      load(module, file);
    } catch (error) {
      if (!/fuzzer-linux-\w+\.node$/.test(file) || !/GLIBC/.test(String(error))) throw error;
      const folder = join(tmpdir(), `showtell-fuzz-addon-${process.pid}`);
      mkdirSync(folder, { recursive: true });
      const changed = join(folder, 'fuzzer.node');
      if (!existsSync(changed)) writeFileSync(changed, forOlderGlibc(readFileSync(file)));
      load(module, changed);
    }
  };
}
