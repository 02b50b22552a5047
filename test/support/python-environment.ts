import { existsSync } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { findOnPath, runCommand } from '@showtell/shared/set-up/command.js';
import { withFileLock } from '@showtell/shared/set-up/file-lock.js';

/** A Python with packages of its own, to be made in the cache folder. */
export interface PythonEnvironment {
  /** Its folder below `python/` in the cache; names what is in it, so that other packages make another folder. */
  readonly name: string;
  /** What pip is asked for. */
  readonly packages: readonly string[];
}

/** For so long after a failure nobody tries again, so that a machine without a network waits for pip once a run. */
const retryAfterMs = 10 * 60_000;

/** A venv needs no pip of its own, which Debian splits off: its folder is filled by the pip that there is. */
const sitePackages = 'import sysconfig; print(sysconfig.get_path("purelib"))';

/**
 * The interpreter of an environment, made on first use by the user's pip; several processes may ask at once.
 * @param base the Python that it is made of
 * @returns null where it cannot be had, which is said on stderr
 */
export async function pythonOf({ name, packages }: PythonEnvironment, base: string): Promise<string | null> {
  const folder = path.join(cacheFolder(), 'python', name);
  const python = path.join(folder, 'bin', 'python');
  const failed = `${folder}.failed`;
  if (existsSync(python)) return python;
  return withFileLock(`${folder}.lock`, async () => {
    if (existsSync(python)) return python;
    const tried = await stat(failed).catch(() => null);
    if (tried !== null && Date.now() - tried.mtimeMs < retryAfterMs) return null;
    const detail = await make(base, packages, folder);
    if (detail === null) {
      await rm(failed, { force: true });
      return python;
    }
    console.error(`tests against ${packages.join(', ')} are skipped, it cannot be installed: ${detail}`);
    await writeFile(failed, `${detail}\n`);
    return null;
  });
}

/** @returns what went wrong, or null */
async function make(base: string, packages: readonly string[], folder: string): Promise<string | null> {
  const beside = `${folder}.making`;
  console.error(`installing ${packages.join(', ')} into ${folder} …`);
  await rm(beside, { recursive: true, force: true });
  await mkdir(path.dirname(folder), { recursive: true });
  try {
    const venv = await runCommand(base, ['-m', 'venv', '--without-pip', beside]);
    if (venv.status !== 0) return lastLine(venv.stderr);
    const target = await runCommand(path.join(beside, 'bin', 'python'), ['-c', sitePackages]);
    if (target.status !== 0) return lastLine(target.stderr);
    const options = ['--quiet', '--no-input', '--disable-pip-version-check', '--retries', '1', '--only-binary=:all:'];
    const pip = ['-m', 'pip', 'install', ...options, '--target', target.stdout.trim(), ...packages];
    const installed = await runCommand(base, pip, { milliseconds: 1_800_000 });
    if (installed.status !== 0) return lastLine(installed.stderr);
    await rename(beside, folder);
    return null;
  } finally {
    await rm(beside, { recursive: true, force: true });
  }
}

/** The first Python on PATH of one of these minor versions of Python 3 that has pip and venv, most wanted first. */
export async function findPython(minors: readonly number[]): Promise<{ python: string; minor: number } | null> {
  const code = 'import sys, pip, venv; print(sys.version_info.minor)';
  for (const name of ['python3', ...minors.map((minor) => `python3.${minor}`)]) {
    const python = await findOnPath(name);
    if (python === undefined) continue;
    const { status, stdout } = await runCommand(python, ['-c', code]);
    const minor = Number(stdout);
    if (status === 0 && minors.includes(minor)) return { python, minor };
  }
  return null;
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
