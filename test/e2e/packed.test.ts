import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { version } from '@showtell/shared/version.js';
import { filesIn, packAll, packageNames, readFrom, type PackageName } from '../support/packages.js';
import { haveTensorflow } from '../support/tensorflow.js';

const minutes = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'showtell-packed-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Where a user installs showtell: a folder with nothing in it, in a home with nothing in it. */
const place = join(folder, 'place');
let tarballs: Record<PackageName, string>;

beforeAll(() => {
  tarballs = packAll(join(folder, 'tarballs'));
  for (const name of ['place', 'home']) mkdirSync(join(folder, name));
});

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly scripts?: unknown;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

function manifestOf(name: PackageName): Manifest {
  return JSON.parse(readFrom(tarballs[name], 'package.json')) as Manifest;
}

/** Modules of a package by their path under `src`, without ending. */
function modulesOf(name: PackageName): string[] {
  return readdirSync(join('packages', name, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length));
}

describe.each(packageNames)('@showtell/%s as npm packs it', (name) => {
  it('has each module and its types, licence, readme, and nothing else', () => {
    const own = modulesOf(name).flatMap((module) => [`dist/${module}.js`, `dist/${module}.d.ts`]);
    const bin = { shared: [], worker: ['bin/showtell-worker.js'], coordinator: ['bin/showtell.js'] }[name];
    const vendored =
      /^vendor\/tfjs-node\/(package\.json|[a-z0-9_]+\.(js|d\.ts)|(kernels|proto)\/\w+\.js|binding\/\w+\.(cc|h))$/;
    const files = filesIn(tarballs[name]);
    const other = files.filter((file) => !(name === 'worker' && vendored.test(file)));
    expect(other).toEqual([...own, ...bin, 'LICENSE', 'README.md', 'package.json'].sort());
    expect(files.filter((file) => /test/i.test(file) && !own.includes(file))).toEqual([]);
    expect(readFrom(tarballs[name], 'LICENSE')).toBe(readFileSync('LICENSE', 'utf8'));
  });

  it('tells what it is, whose and from where, so that npm can attest it', () => {
    const manifest = manifestOf(name);
    expect(manifest).toMatchObject({
      name: `@showtell/${name}`,
      version,
      license: 'Apache-2.0',
      type: 'module',
      engines: { node: '>=20.19' },
      repository: {
        type: 'git',
        url: expect.stringMatching(/^git\+https:\/\//) as string,
        directory: `packages/${name}`,
      },
      publishConfig: { access: 'public', provenance: true },
    });
    expect(manifest.private).toBeUndefined();
    // Nothing runs on a user's machine because it is installed.
    expect(manifest.scripts).toBeUndefined();
    for (const [dependency, range] of Object.entries(manifest.dependencies))
      if (dependency.startsWith('@showtell/')) expect(range).toBe(version);
  });

  it('passes publint', async () => {
    const { messages } = await publint({ pack: { tarball: bytesOf(tarballs[name]) }, strict: true });
    expect(messages).toEqual([]);
  });
});

describe('installed in an empty folder', () => {
  beforeAll(async () => {
    // Its own npm settings (registry, proxy) and downloads are the machine's.
    const files = Object.values(tarballs);
    const done = await command('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', ...files]);
    expect(done.code, done.stderr).toBe(0);
  }, 10 * minutes);

  it('needs no package whose install script does something', () => {
    const lock = JSON.parse(readFileSync(join(place, 'node_modules/.package-lock.json'), 'utf8')) as {
      packages: Record<string, { hasInstallScript?: boolean }>;
    };
    const scripts = Object.entries(lock.packages).filter(([, { hasInstallScript }]) => hasInstallScript === true);
    // An appeal for donations, a check of version ranges, and one that puts Chromium's name for a library beside it on macOS.
    expect(scripts.map(([path]) => path.replace(/^.*node_modules\//, '')).sort()).toEqual([
      'core-js',
      'protobufjs',
      'webgpu',
    ]);
  });

  it('has both programs', async () => {
    expect(await command('npx', ['showtell', '--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
    const help = await command('npx', ['showtell', '--help']);
    expect(help.stdout).toMatch(/^Usage: showtell .*\bdemo\b/s);
    expect(help.stderr).toBe('');
    expect((await command('npx', ['showtell-worker', '--help'])).stdout).toMatch(/^Usage: showtell worker/);
  });

  it.skipIf(!haveTensorflow)(
    'finds the engine that a clone has set up (needs the engine: showtell engine setup)',
    async () => {
      const { stdout, stderr } = await command('npx', ['showtell', 'doctor']);
      expect(stdout, stderr).toMatch(/^ok +tensorflow engine/m);
      expect(stdout).toMatch(/^ok +nats-server/m);
    },
  );

  it(
    'runs the demo',
    async () => {
      const short = ['phases.decoderOnly.steps=3', 'phases.joint.steps=2', 'evaluation.everySteps=3'];
      const more = ['evaluation.captionImages=8', 'evaluation.perplexityExamples=64', 'phases.joint.maxBleuDrop=null'];
      const set = [...short, ...more, 'phases.joint.guard.maxPerplexityRatio=null'].flatMap((field) => [
        '--set',
        field,
      ]);
      const done = await command('npx', ['showtell', 'demo', ...set]);
      expect(done.code, done.stderr).toBe(0);
      expect(done.stdout).toMatch(/^ {2}after joint/m);
      expect(readdirSync(join(place, 'runs/demo'))).toContain('report.html');
      const checkpoints = await command('npx', ['showtell', 'checkpoint', 'verify', 'runs/demo']);
      expect(checkpoints.code, checkpoints.stderr).toBe(0);
    },
    10 * minutes,
  );

  it(
    'has types without a fault, with every strictness and those of libraries checked',
    async () => {
      const everything = packageNames.flatMap((name) =>
        modulesOf(name).map((module) => `import type {} from '@showtell/${name}/${module}.js';\n`),
      );
      writeFileSync(join(place, 'every-module.mts'), everything.join(''));
      writeFileSync(join(place, 'use.mts'), use);
      for (const [i, code] of examples().entries()) writeFileSync(join(place, `example-${i}.mts`), code);
      const strict = [
        '--strict',
        '--exactOptionalPropertyTypes',
        '--noUncheckedIndexedAccess',
        '--skipLibCheck',
        'false',
      ];
      const options = [
        '--module',
        'nodenext',
        '--target',
        'es2022',
        '--lib',
        'es2023,esnext.disposable,dom',
        '--noEmit',
      ];
      const types = ['--types', 'node', '--typeRoots', resolve('node_modules/@types')];
      const files = readdirSync(place).filter((file) => file.endsWith('.mts'));
      const { stdout } = await command(resolve('node_modules/.bin/tsc'), [...options, ...strict, ...types, ...files]);
      // tfjs and its like declare types that do not fit each other, nor TypeScript's own: not ours to mend.
      const ours = /^(node_modules\/@showtell\/|[\w-]+\.mts\b|error )/;
      expect(stdout.split('\n').filter((line) => ours.test(line))).toEqual([]);
      expect(files.length).toBeGreaterThan(3);
    },
    5 * minutes,
  );
});

/** What a program of a user's may do, and a mistake that its types must catch. */
const use = `
import { parseJob } from '@showtell/shared/job/load-job.js';
import type { Job } from '@showtell/shared/job/job.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { loadTensorflow } from '@showtell/worker/engine/tensorflow/addon.js';
const job: Job = parseJob({ preset: 'demo' }, ['seed=7'], 'a program');
const seed: number = job.seed;
// @ts-expect-error a job has no such field
const none: unknown = job.nothing;
const versions: string = loadTensorflow({ threads: 1 }).backend.binding.TF_Version;
console.log(seed, none, versions, new RunFolder('runs/demo').path);
`;

/** The code that the documentation shows. */
function examples(): string[] {
  const pages = [
    ...readdirSync('docs').map((name) => `docs/${name}`),
    ...packageNames.map((name) => `packages/${name}/README.md`),
  ];
  return pages
    .filter((page) => page.endsWith('.md'))
    .flatMap((page) => [...readFileSync(page, 'utf8').matchAll(/^```ts\n(.*?)^```$/gms)])
    .map(([, code = '']) => `export {};\n${code}`);
}

function bytesOf(file: string): ArrayBuffer {
  return Uint8Array.from(readFileSync(file)).buffer;
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program in that folder, with an empty home but the machine's engine. */
function command(program: string, args: readonly string[]): Promise<Ended> {
  const env = {
    PATH: process.env['PATH'],
    HOME: join(folder, 'home'),
    SHOWTELL_CACHE: cacheFolder(),
    NO_COLOR: '1',
    npm_config_userconfig: process.env['npm_config_userconfig'] ?? join(homedir(), '.npmrc'),
    npm_config_cache: process.env['npm_config_cache'] ?? join(homedir(), '.npm'),
    npm_config_update_notifier: 'false',
  };
  return new Promise((resolve) => {
    execFile(program, args, { cwd: place, env, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
