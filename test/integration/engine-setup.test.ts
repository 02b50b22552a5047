/**
 * The engine's set-up as its users run it: a process of its own, on caches made of links to the real one's
 * TensorFlow, so that nothing is fetched.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Worker, SHARE_ENV } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { findOnPath } from '@showtell/shared/set-up/command.js';
import { engineFolder } from '@showtell/worker/engine/tensorflow/engine-folder.js';
import { temporaryFolder } from '../support/temporary-folder.js';

const require = createRequire(import.meta.url);
const setupMain = require.resolve('@showtell/worker/engine/setup-main.js');
const built = engineFolder('cpu');
const haveEngine = existsSync(built.addon);
const haveCompiler = (await findOnPath('g++')) !== undefined;
/** Proxies nobody answers at: whoever wants the network fails at once. */
const offline = {
  HTTPS_PROXY: 'http://127.0.0.1:9',
  HTTP_PROXY: 'http://127.0.0.1:9',
  PIP_RETRIES: '0',
  PIP_FIND_LINKS: '',
};

interface Ended {
  readonly status: number | null;
  readonly said: Record<string, unknown>;
  readonly stderr: string;
  readonly milliseconds: number;
}

function setUp(environment: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> {
  const begin = performance.now();
  const child = spawn(process.execPath, [setupMain, ...args], { env: { ...process.env, ...environment } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) =>
    child.on('close', (status) => {
      const said = stdout === '' ? {} : (JSON.parse(stdout) as Record<string, unknown>);
      resolve({ status, said, stderr, milliseconds: performance.now() - begin });
    }),
  );
}

/** A cache that shares the real one's libraries by links; without its addon. */
function cacheWithRuntime(): { cache: string; runtime: string; root: string } {
  const cache = temporaryFolder();
  const root = join(cache, 'engine', built.root.split('/').at(-1) ?? '');
  linkTree(built.runtime, join(root, 'runtime'));
  return { cache, root, runtime: join(root, 'runtime') };
}

function linkTree(from: string, to: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const target = join(to, entry.parentPath.slice(from.length), entry.name);
    mkdirSync(dirname(target), { recursive: true });
    symlinkSync(join(entry.parentPath, entry.name), target);
  }
}

/** A PATH with these programs only. */
async function pathOf(...programs: string[]): Promise<string> {
  const folder = temporaryFolder();
  for (const program of programs) {
    const file = await findOnPath(program);
    if (file !== undefined) symlinkSync(file, join(folder, program));
  }
  return folder;
}

describe.skipIf(!haveEngine)('a set-up engine (skipped until "npx showtell engine setup" has run)', () => {
  it('is left alone, quietly and at once, without network, Python or compiler', async () => {
    const before = statSync(built.addon).mtimeMs;
    const again = await setUp({ ...offline, PATH: '' });
    expect(again.status).toBe(0);
    expect(again.said).toMatchObject({ ok: true, changed: false, addon: built.addon });
    expect(again.stderr).toBe('');
    expect(statSync(built.addon).mtimeMs).toBe(before);
    expect(again.milliseconds).toBeLessThan(3_000);
  });

  it.skipIf(!haveCompiler)(
    'goes on where it was cut, offline and once, however many ask (skipped without g++)',
    async () => {
      const { cache, root } = cacheWithRuntime();
      const cut = join(root, `${built.addonFolder.split('/').at(-1) ?? ''}.part`);
      mkdirSync(cut);
      writeFileSync(join(cut, 'tfjs_binding.node'), 'half');
      const environment = { ...offline, SHOWTELL_CACHE: cache, PATH: await pathOf('g++', 'as', 'ld') };
      const both = await Promise.all([setUp(environment), setUp(environment)]);
      for (const ended of both) expect(ended.said).toMatchObject({ ok: true });
      expect(both.map((ended) => ended.said['changed']).sort()).toEqual([false, true]);
      expect(both.map((ended) => ended.stderr).join('')).toContain('waiting for the set-up');
      expect(readdirSync(root).sort()).toEqual([built.addonFolder.split('/').at(-1), 'runtime']);
      expect((await setUp({ ...environment, PATH: '' }, '--check')).said).toMatchObject({ ok: true });
    },
    120_000,
  );

  it('sees that a library is cut short, and needs Python to mend it', async () => {
    const { cache, runtime } = cacheWithRuntime();
    const library = join(runtime, 'tensorflow', 'libtensorflow_framework.so.2');
    rmSync(library);
    writeFileSync(library, 'short');
    const ended = await setUp({ ...offline, SHOWTELL_CACHE: cache, PATH: await pathOf('g++') });
    expect(ended.said).toMatchObject({ ok: false, code: 'setup/no-python' });
    expect(ended.status).toBe(69);
  });

  it('loads on the main thread and in a thread that shares its environment', async () => {
    const program = `
      import { loadTensorflow } from '${require.resolve('@showtell/worker/engine/tensorflow/addon.js')}';
      import { parentPort } from 'node:worker_threads';
      try {
        const { tf, versions } = loadTensorflow({ threads: 1 });
        const gradient = tf.grad((x) => tf.sum(tf.square(x)))(tf.tensor1d([1, 2]));
        parentPort.postMessage({ ...versions, gradient: [...gradient.dataSync()], env: process.env.TF_NUM_INTRAOP_THREADS });
      } catch (error) {
        parentPort.postMessage({ code: error.code });
      }`;
    const file = join(temporaryFolder(), 'thread.mjs');
    writeFileSync(file, program);
    const answer = (options: object) =>
      new Promise((resolve, reject) => new Worker(file, options).on('message', resolve).on('error', reject));
    // The copy first: afterwards this process's own environment has the variables.
    delete process.env['TF_NUM_INTRAOP_THREADS'];
    expect(await answer({ env: { ...process.env } })).toEqual({ code: 'engine/environment-too-late' });
    expect(await answer({ env: SHARE_ENV })).toEqual({
      tensorflow: '2.21.0',
      tfjs: '4.22.0',
      engine: 'cpu',
      gradient: [2, 4],
      env: '1',
    });
  });
});

describe('a machine that lacks something', () => {
  it('names compiler and Python in one command', async () => {
    const ended = await setUp({ ...offline, SHOWTELL_CACHE: temporaryFolder(), PATH: await pathOf('true') });
    expect(ended.said).toMatchObject({ ok: false, code: 'setup/no-compiler' });
    expect(ended.said['remedy']).toMatch(/(g\+\+|gcc).* python/);
    expect(ended.status).toBe(69);
  });

  it.skipIf(!haveCompiler)('asks for Python where a compiler is there (skipped without g++)', async () => {
    const cache = temporaryFolder();
    const ended = await setUp({ ...offline, SHOWTELL_CACHE: cache, PATH: await pathOf('g++') });
    expect(ended.said).toMatchObject({ ok: false, code: 'setup/no-python' });
    expect(ended.said['remedy']).toContain('python');
  });

  it('says that nothing falls back where the cuda engine has no GPU', async () => {
    const ended = await setUp({ SHOWTELL_CACHE: temporaryFolder(), PATH: '' }, '--engine', 'cuda');
    expect(ended.said).toMatchObject({ ok: false, code: 'engine/no-gpu' });
  });

  it('says so when the cache cannot be written', async () => {
    const file = join(temporaryFolder(), 'file');
    writeFileSync(file, '');
    const ended = await setUp({ SHOWTELL_CACHE: join(file, 'cache') });
    expect(ended.said).toMatchObject({ ok: false, code: 'setup/cache-unwritable' });
    expect(ended.status).toBe(73);
  });

  it('takes over the lock of a set-up that was killed', async () => {
    const cache = temporaryFolder();
    const lock = join(cache, 'engine', built.root.split('/').at(-1) ?? '', 'set-up.lock');
    mkdirSync(dirname(lock), { recursive: true });
    writeFileSync(lock, 'another-host 1\n');
    const longAgo = new Date(Date.now() - 120_000);
    utimesSync(lock, longAgo, longAgo);
    const ended = await setUp({ SHOWTELL_CACHE: cache, PATH: '' });
    expect(ended.said).toMatchObject({ code: 'setup/no-compiler' });
    expect(existsSync(lock)).toBe(false);
  });
});
