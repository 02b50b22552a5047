import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesIn, packageNames, readFrom } from '../support/packages.js';

const minutes = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'showtell-release-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A repository of its own with this one's files, and its node_modules. */
const clone = join(folder, 'clone');
const origin = (
  JSON.parse(readFileSync('packages/shared/package.json', 'utf8')) as { repository: { url: string } }
).repository.url.replace('git+', '');

beforeAll(() => {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  for (const file of files.split('\0').filter((name) => name !== '' && existsSync(name))) {
    mkdirSync(dirname(join(clone, file)), { recursive: true });
    cpSync(file, join(clone, file));
  }
  // Links within point to the clone's packages. Hard links take no room; across disks copies must do.
  for (const name of ['node_modules', 'packages/coordinator/node_modules', 'packages/worker/node_modules'])
    if (existsSync(name) && spawnSync('cp', ['-al', name, join(clone, name)]).status !== 0)
      execFileSync('cp', ['-a', name, join(clone, name)]);
  git('init', '--quiet', '--initial-branch', 'main');
  git('config', 'user.name', 'a tester');
  git('config', 'user.email', 'tester@example.org');
  git('remote', 'add', 'origin', origin.replace(/^https:\/\/([^/]+)\//, 'git@$1:'));
  git('add', '--all');
  git('commit', '--quiet', '--message', 'all');
  writeFileSync(join(clone, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A thing.\n');
  git('commit', '--quiet', '--all', '--message', 'a changelog');
}, 10 * minutes);

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: clone, encoding: 'utf8' }).trim();
}

function release(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/release.mjs', ...args], {
    cwd: clone,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

const read = (path: string): string => readFileSync(join(clone, path), 'utf8');
const versionOf = (path: string): unknown => (JSON.parse(read(path)) as { version: unknown }).version;

describe('a release is refused', () => {
  it.each<[what: string, prepare: () => void, args: string[], message: RegExp]>([
    [
      'with changes in the tree',
      () => writeFileSync(join(clone, 'new.txt'), ''),
      ['patch'],
      /tree has changes.*git status/,
    ],
    ['without a version', () => undefined, [], /give major, minor, patch or a version/],
    ['of an earlier version', () => undefined, ['0.0.9'], /0\.0\.9 is not after 0\.1\.0/],
    ['of this version', () => undefined, ['0.1.0'], /0\.1\.0 is not after/],
    ['with an unknown option', () => undefined, ['patch', '--yes'], /--yes/],
    ['whose tag is there', () => void git('tag', 'v0.1.1'), ['patch'], /tag v0\.1\.1 is there/],
    ['from no branch', () => void git('switch', '--quiet', '--detach'), ['patch'], /HEAD is on no branch/],
    [
      'from elsewhere than its packages say',
      () => void git('remote', 'set-url', 'origin', 'https://example.org/fork.git'),
      ['patch'],
      /packages\/shared says that it comes from .*, the remote origin is https:\/\/example\.org\/fork\.git/,
    ],
    [
      'with nothing to tell',
      () => {
        writeFileSync(join(clone, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n');
        git('commit', '--quiet', '--all', '--message', 'nothing');
      },
      ['patch'],
      /nothing under "Unreleased"/,
    ],
  ])('%s', (_, prepare, args, message) => {
    const head = git('rev-parse', 'HEAD');
    prepare();
    const done = release(...args);
    expect(done.status).toBe(1);
    expect(done.stderr).toMatch(message);
    expect(done.stdout).toBe('');
    git('switch', '--quiet', 'main');
    git('reset', '--quiet', '--hard', head);
    git('clean', '--quiet', '--force');
    git('remote', 'set-url', 'origin', origin);
    if (git('tag', '--list') !== '') git('tag', '--delete', 'v0.1.1');
  });
});

it('a dry run prints all and does nothing', () => {
  const head = git('rev-parse', 'HEAD');
  const { status, stdout, stderr } = release('minor', '--dry-run');
  expect(status, stderr).toBe(0);
  expect(stdout).toContain('would npm test');
  for (const path of ['package.json', 'packages/worker/package.json', 'package-lock.json', 'CHANGELOG.md'])
    expect(stdout).toContain(`  ${path}\n`);
  expect(stdout).toMatch(/^-export const version = '0\.1\.0';\n\+export const version = '0\.2\.0';$/m);
  expect(stdout).toMatch(/^\+## \[0\.2\.0\] - \d{4}-\d\d-\d\d$/m);
  expect(stdout).toContain('npm publish release/0.2.0/showtell-coordinator-0.2.0.tgz');
  expect([git('rev-parse', 'HEAD'), git('status', '--porcelain'), git('tag')]).toEqual([head, '', '']);
  expect(existsSync(join(clone, 'release'))).toBe(false);
});

it(
  'a release has one version everywhere, a commit, a tag, tarballs and their sums, and publishes nothing',
  () => {
    const { status, stdout, stderr } = release('0.2.0', '--untested');
    expect(status, stderr).toBe(0);
    for (const path of [
      'package.json',
      'package-lock.json',
      ...packageNames.map((name) => `packages/${name}/package.json`),
    ])
      expect(versionOf(path), path).toBe('0.2.0');
    expect(read('deploy/k8s/base/workers.yaml')).toContain('image: showtell/worker:0.2.0');
    expect(read('CHANGELOG.md')).toMatch(
      /^## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n### Added\n\n- A thing\.$/m,
    );
    expect(git('status', '--porcelain')).toBe('');
    expect(git('log', '-1', '--format=%s')).toBe('release: 0.2.0');
    expect(git('tag', '--list', '--format', '%(refname:short) %(objecttype) %(contents)')).toMatch(
      /^v0\.2\.0 tag showtell 0\.2\.0\n\n.*- A thing\./s,
    );

    const out = join(clone, 'release/0.2.0');
    const tarballs = packageNames.map((name) => `showtell-${name}-0.2.0.tgz`);
    expect(readdirSync(out).sort()).toEqual(['SHA256SUMS', 'notes.md', 'sbom.cdx.json', ...tarballs].sort());
    execFileSync('sha256sum', ['--check', '--strict', 'SHA256SUMS'], { cwd: out, stdio: 'pipe' });
    const coordinator = JSON.parse(readFrom(join(out, 'showtell-coordinator-0.2.0.tgz'), 'package.json')) as unknown;
    expect(coordinator).toMatchObject({
      version: '0.2.0',
      dependencies: { '@showtell/shared': '0.2.0', '@showtell/worker': '0.2.0' },
    });
    expect(readFrom(join(out, 'showtell-shared-0.2.0.tgz'), 'dist/version.js')).toContain("'0.2.0'");
    expect(filesIn(join(out, 'showtell-worker-0.2.0.tgz'))).toContain('vendor/tfjs-node/binding/tfjs_binding.cc');
    expect(readFileSync(join(out, 'notes.md'), 'utf8')).toBe('### Added\n\n- A thing.\n');

    const published = [...stdout.matchAll(/^npm publish (.*)$/gm)].map(([, file]) => file);
    // In the order in which they build on each other.
    expect(published).toEqual(tarballs.map((file) => `release/0.2.0/${file}`));
    expect(stdout).toContain('git push origin main v0.2.0');
    expect(stdout).toMatch(/Nothing is published yet/);

    const bill = (): string => execFileSync(process.execPath, ['tools/sbom.mjs'], { cwd: clone, encoding: 'utf8' });
    expect(bill()).toBe(readFileSync(join(out, 'sbom.cdx.json'), 'utf8'));
    const { components } = JSON.parse(bill()) as {
      components: { name: string; version: string; licenses: object[] }[];
    };
    const names = components.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['@showtell/worker', '@tensorflow/tfjs', '@tensorflow/tfjs-node-gpu', 'nats']),
    );
    for (const tool of ['typescript', 'eslint', 'vitest', 'nsfwjs']) expect(names).not.toContain(tool);
    expect(components.filter(({ licenses }) => licenses.length !== 1)).toEqual([]);
  },
  10 * minutes,
);
