#!/usr/bin/env node
// Makes a release of this checkout: checks, tests, the version in all packages alike, the changelog's heading, a commit and a tag,
// tarballs with a bill of materials. It publishes nothing: the commands for that are its last lines. docs/release.md tells more.
//   npm run release -- VERSION|major|minor|patch [--dry-run] [--untested]
import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { released, unreleased } from './release/changelog.mjs';
import { nextVersion, withVersion } from './release/version-files.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const packages = ['shared', 'worker', 'coordinator'];
const options = { 'dry-run': { type: 'boolean' }, untested: { type: 'boolean' } };
const say = (text) => process.stdout.write(`${text}\n`);
/** Whether files have been changed and not yet committed. */
let isWritten = false;
const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();

try {
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  release(positionals[0], { isDry: values['dry-run'] === true, isUntested: values.untested === true });
} catch (error) {
  process.stderr.write(`release: ${error.message}\n`);
  if (isWritten)
    process.stderr.write('The new version stands in the files and is not committed: "git restore ." undoes it.\n');
  process.exitCode = 1;
}

function release(asked, { isDry, isUntested }) {
  const changelog = readFileSync('CHANGELOG.md', 'utf8');
  const version = nextVersion(JSON.parse(readFileSync('package.json', 'utf8')).version, asked);
  const tag = `v${version}`;
  const notes = unreleased(changelog);
  checkRepository(tag, notes);

  const date = new Date().toISOString().slice(0, 10);
  const edits = withVersion(version).set('CHANGELOG.md', released(changelog, version, date));
  const out = `release/${version}`;
  const step = (what, action) => {
    say(`${isDry ? 'would' : '→'} ${what}`);
    if (!isDry) action();
  };

  if (isUntested) say('not tested (--untested)');
  else step('npm test', () => run('npm', 'test'));
  step(`write version ${version} and the changelog's heading`, () => {
    isWritten = true;
    edits.forEach((text, path) => writeFileSync(path, text));
  });
  if (isDry) edits.forEach(showChange);
  step('npm run gen', () => run('npm', 'run', '--silent', 'gen'));
  step(`git commit, git tag ${tag}`, () => {
    run('git', 'commit', '--all', '--quiet', '--message', `release: ${version}`);
    isWritten = false;
    run('git', 'tag', '--annotate', tag, '--message', `showtell ${version}\n\n${notes}`);
  });
  step(`pack into ${out}: ${packages.map(tarballOf(version)).join(', ')}, notes.md, sbom.cdx.json, SHA256SUMS`, () =>
    pack(out, notes),
  );
  say(
    `\nNothing is published yet. From a workflow that may ask for an identity token (npm attests where it was built):\n`,
  );
  say(`git push origin ${git('branch', '--show-current')} ${tag}`);
  for (const name of packages) say(`npm publish ${out}/${tarballOf(version)(name)}`);
}

/** @throws Error that says what keeps this checkout from being released */
function checkRepository(tag, notes) {
  if (git('status', '--porcelain') !== '') throw new Error('the tree has changes: commit or stash them (git status)');
  if (git('branch', '--show-current') === '') throw new Error('HEAD is on no branch: git switch main');
  if (git('tag', '--list', tag) !== '') throw new Error(`the tag ${tag} is there already: ask for a later version`);
  if (notes === '') throw new Error('CHANGELOG.md has nothing under "Unreleased": write what users will see');
  const origin = httpsOf(spawnSync('git', ['remote', 'get-url', 'origin'], { encoding: 'utf8' }).stdout.trim());
  for (const name of packages) {
    const { repository } = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8'));
    if (repository.url !== `git+${origin}`)
      throw new Error(
        `packages/${name} says that it comes from ${repository.url}, the remote origin is ${origin || 'not set'}: npm takes no package ` +
          `from elsewhere than it says. Correct repository, homepage and bugs in each package.json, or the remote.`,
      );
  }
}

/** `git@host:owner/name` and the like as https, ending in .git. */
function httpsOf(remote) {
  return remote
    .replace(/^(?:ssh:\/\/)?git@([^:/]+)[:/]/, 'https://$1/')
    .replace(/(?:\.git)?$/, remote === '' ? '' : '.git');
}

function tarballOf(version) {
  return (name) => `showtell-${name}-${version}.tgz`;
}

function pack(out, notes) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  run('npm', 'pack', '--silent', ...packages.flatMap((name) => ['-w', `packages/${name}`]), '--pack-destination', out);
  writeFileSync(`${out}/notes.md`, `${notes}\n`);
  writeFileSync(`${out}/sbom.cdx.json`, execFileSync(process.execPath, ['tools/sbom.mjs'], { maxBuffer: 1e8 }));
  const sums = readdirSync(out)
    .sort()
    .map((file) => {
      const sum = createHash('sha256')
        .update(readFileSync(`${out}/${file}`))
        .digest('hex');
      return `${sum}  ${file}\n`;
    });
  writeFileSync(`${out}/SHA256SUMS`, sums.join(''));
}

function showChange(text, path) {
  const args = ['diff', '--no-index', '--no-color', '--unified=1', '--', path, '-'];
  const { stdout } = spawnSync('git', args, { input: text, encoding: 'utf8' });
  say(
    stdout
      .replace(/^(?:diff|index|---|\+\+\+).*\n/gm, '')
      .replace(/^/, `  ${path}\n`)
      .trimEnd(),
  );
}

/** @throws Error when the program fails, after its own words */
function run(program, ...args) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2] });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ${args[0]} ended with ${status}; nothing was published`);
}
