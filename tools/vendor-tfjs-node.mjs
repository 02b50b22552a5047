// Copies what the worker loads and compiles of @tensorflow/tfjs-node-gpu into packages/worker/vendor/tfjs-node. As a dependency
// it would run an install script, which fails, wherever showtell is installed. Does nothing when all is there.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const manifest = require.resolve('@tensorflow/tfjs-node-gpu/package.json');
const { name, version, license } = JSON.parse(readFileSync(manifest, 'utf8'));
const from = dirname(manifest);
const to = fileURLToPath(new URL('../packages/worker/vendor/tfjs-node', import.meta.url));

/** Modules of `dist` with their types; `kernels` registers TensorFlow's operations with tfjs. */
const modules = ['nodejs_kernel_backend', 'int64_tensors', 'register_all_kernels', 'tfjs_binding'];
const ownManifest = `${JSON.stringify({ name, version, license, description: 'parts of it, unchanged', type: 'commonjs' }, null, 2)}\n`;

const isDone = existsSync(join(to, 'package.json')) && readFileSync(join(to, 'package.json'), 'utf8') === ownManifest;
if (!isDone) {
  const beside = `${to}.${process.pid}`;
  rmSync(beside, { recursive: true, force: true });
  mkdirSync(join(beside, 'kernels'), { recursive: true });
  cpSync(join(from, 'binding'), join(beside, 'binding'), { recursive: true });
  for (const module of modules)
    for (const ending of ['.js', '.d.ts']) cpSync(join(from, 'dist', module + ending), join(beside, module + ending));
  for (const kernel of readdirSync(join(from, 'dist', 'kernels')).filter((file) => file.endsWith('.js')))
    cpSync(join(from, 'dist', 'kernels', kernel), join(beside, 'kernels', kernel));
  cpSync(join(from, 'dist', 'proto', 'api_pb.js'), join(beside, 'proto', 'api_pb.js'));
  // Last: its being there says that the rest is.
  writeFileSync(join(beside, 'package.json'), ownManifest);
  rmSync(to, { recursive: true, force: true });
  renameSync(beside, to);
}
