import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ShowtellError } from '@showtell/shared/errors.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { findOnPath, runCommand } from '@showtell/shared/set-up/command.js';
import { withFileLock } from '@showtell/shared/set-up/file-lock.js';
import { listGpus } from '@showtell/shared/set-up/gpus.js';
import { installHint } from '@showtell/shared/set-up/install-hint.js';
import type { Progress } from '@showtell/shared/set-up/progress.js';
import { downloadWheel, missingPython, unpackWheel } from '@showtell/shared/set-up/wheel.js';
import { engineFolder, tfjsNodeFolder, type EngineFolder } from './engine-folder.js';
import { engineWheels, tensorflowVersion, type EngineKind, type EngineWheels } from './wheels.js';

const require = createRequire(import.meta.url);

/** The headers that the binding's sources reach, of the wheel's 13,000. */
const headers = [
  'tensorflow/include/tensorflow/c/',
  'tensorflow/include/tensorflow/core/platform/ctstring',
  'tensorflow/include/tsl/platform/ctstring',
  'tensorflow/include/xla/tsl/c/',
];
const libraries = ['tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2'];

export interface BuildOptions {
  /** Builds the cuda engine where no GPU is to be had yet, as in a container image. Loading it still asks for one. */
  readonly withoutGpu?: boolean;
}

export interface BuiltAddon {
  readonly folder: EngineFolder;
  /** False when all was there. */
  readonly changed: boolean;
}

/**
 * Makes the engine's addon in the user's cache: TensorFlow's wheel fetched and checked, the parts needed unpacked,
 * tfjs-node-gpu's binding compiled against them, tried in a process of its own. Each stage appears by one rename, so
 * an interrupted set-up goes on where it was; a second process waits for the first. Throws `setup/*` and `engine/*`.
 */
export async function buildAddon(
  kind: EngineKind,
  progress: Progress,
  options: BuildOptions = {},
): Promise<BuiltAddon> {
  const folder = engineFolder(kind);
  const gpuNeeded = kind === 'cuda' && options.withoutGpu !== true;
  if (gpuNeeded && (await listGpus()).length === 0) {
    throw new ShowtellError('engine/no-gpu', { detail: 'nvidia-smi is absent or lists none' });
  }
  if (await isComplete(folder)) return { folder, changed: false };
  const wheels = engineWheels(kind);
  const changed = await withFileLock(
    join(folder.root, 'set-up.lock'),
    () => buildMissing(folder, wheels, gpuNeeded, progress),
    (holder) => progress.step(`waiting for the set-up that ${holder} (host, process) is doing`),
  );
  return { folder, changed };
}

/** Answers whether anything was missing. */
async function buildMissing(
  folder: EngineFolder,
  wheels: EngineWheels,
  gpuNeeded: boolean,
  progress: Progress,
): Promise<boolean> {
  if (await isComplete(folder)) return false;
  const runtimeThere = await isWhole(folder.runtime);
  const compiler = await findCompiler(runtimeThere);
  if (!runtimeThere) {
    const downloads = join(cacheFolder(), 'downloads');
    const files: string[] = [];
    for (const wheel of [wheels.tensorflow, ...wheels.libraries]) {
      files.push(await downloadWheel(wheel, downloads, progress));
    }
    await unpackRuntime(folder, files, progress);
    await Promise.all(files.map((file) => rm(file, { force: true })));
  }
  if (!(await isWhole(folder.addonFolder))) await compileAddon(folder, compiler, gpuNeeded, progress);
  return true;
}

/** Whether nothing is left to do, by the sizes noted when each stage was finished. */
export async function isComplete(folder: EngineFolder): Promise<boolean> {
  return (await isWhole(folder.runtime)) && (await isWhole(folder.addonFolder));
}

/** The path of a C++ compiler. Throws `setup/no-compiler`, which names all that is to be installed at once. */
async function findCompiler(runtimeThere: boolean): Promise<string> {
  const asked = process.env['CXX'];
  const compiler = await findOnPath(...(asked === undefined || asked === '' ? [] : [asked]), 'g++', 'c++', 'clang++');
  if (compiler !== undefined) return compiler;
  const python = runtimeThere ? undefined : await missingPython();
  const install = installHint(python === undefined ? ['compiler'] : ['compiler', python]);
  throw new ShowtellError('setup/no-compiler', { install });
}

async function unpackRuntime(folder: EngineFolder, wheelFiles: readonly string[], progress: Progress): Promise<void> {
  progress.step(`unpacking TensorFlow ${tensorflowVersion} into ${folder.runtime}`);
  await publish(folder.runtime, async (beside) => {
    for (const [index, file] of wheelFiles.entries()) {
      await unpackWheel(file, index === 0 ? [...libraries, ...headers] : ['nvidia/'], beside);
    }
  });
}

async function compileAddon(
  folder: EngineFolder,
  compiler: string,
  gpuNeeded: boolean,
  progress: Progress,
): Promise<void> {
  progress.step(`compiling TensorFlow's Node addon with ${compiler}`);
  const tfjsNode = tfjsNodeFolder();
  const nodeHeaders = join(dirname(require.resolve('node-api-headers/package.json')), 'include');
  await publish(folder.addonFolder, async (beside) => {
    const built = join(beside, 'tfjs_binding.node');
    const result = await runCommand(compiler, [
      ...['-shared', '-fPIC', '-O2', '-std=c++17', '-DNAPI_VERSION=8'],
      ...['-I', tfjsNode, '-I', folder.include, '-I', nodeHeaders],
      ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((source) => join(tfjsNode, 'binding', source)),
      ...libraries.map((library) => join(folder.runtime, library)),
      `-Wl,-rpath,$ORIGIN/${relative(folder.addonFolder, join(folder.runtime, 'tensorflow'))}`,
      ...['-o', built],
    ]);
    if (result.status !== 0) {
      const log = join(folder.root, 'compile.log');
      await writeFile(log, result.stdout + result.stderr);
      const detail = /error: .*/.exec(result.stderr)?.[0] ?? `it ended with status ${result.status}`;
      throw new ShowtellError('engine/compile-failed', { compiler, log, detail });
    }
    progress.step('trying it');
    await smokeTest(built, gpuNeeded);
  });
}

/** Loads the addon in a process of its own and compares a convolution and a gradient with known values. */
async function smokeTest(addon: string, gpuNeeded: boolean): Promise<void> {
  const program = fileURLToPath(new URL('./smoke-test.js', import.meta.url));
  const args = [program, addon, gpuNeeded ? 'gpu' : 'cpu'];
  const environment = { TF_CPP_MIN_LOG_LEVEL: '2', TF_FORCE_GPU_ALLOW_GROWTH: 'true' };
  const result = await runCommand(process.execPath, args, { environment, milliseconds: 300_000 });
  if (result.status === 0) return;
  const detail = /^(?:\w*Error): (.*)$/m.exec(result.stderr)?.[1] ?? `it ended with status ${result.status}`;
  throw gpuNeeded && detail.startsWith('no GPU')
    ? new ShowtellError('engine/no-gpu', { detail })
    : new ShowtellError('engine/smoke-test-failed', { addon, detail });
}

/** Fills a folder beside `folder`, notes every file's size in it, and renames it to `folder`. */
async function publish(folder: string, fill: (beside: string) => Promise<void>): Promise<void> {
  const beside = `${folder}.part`;
  await rm(beside, { recursive: true, force: true });
  await mkdir(beside, { recursive: true });
  try {
    await fill(beside);
    await writeFile(join(beside, sizesFile), JSON.stringify(await sizes(beside)));
    await rm(folder, { recursive: true, force: true });
    await rename(beside, folder);
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

const sizesFile = 'sizes.json';

async function isWhole(folder: string): Promise<boolean> {
  const file = join(folder, sizesFile);
  if (!existsSync(file)) return false;
  const noted = JSON.parse(await readFile(file, 'utf8')) as Record<string, number>;
  const found = await Promise.all(
    Object.entries(noted).map(([name, size]) =>
      stat(join(folder, name)).then(
        (is) => is.size === size,
        () => false,
      ),
    ),
  );
  return found.every(Boolean);
}

async function sizes(folder: string): Promise<Record<string, number>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const pairs = files.map(async (file) => [relative(folder, file), (await stat(file)).size] as const);
  return Object.fromEntries(await Promise.all(pairs));
}
