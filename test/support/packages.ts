import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The published packages, in the order in which they build on each other. */
export const packageNames = ['shared', 'worker', 'coordinator'] as const;
export type PackageName = (typeof packageNames)[number];

/** What `npm pack` makes of each package as it is built now: the tarballs' paths. */
export function packAll(into: string): Record<PackageName, string> {
  mkdirSync(into, { recursive: true });
  const workspaces = packageNames.flatMap((name) => ['--workspace', `packages/${name}`]);
  execFileSync('npm', ['pack', '--silent', ...workspaces, '--pack-destination', into], { encoding: 'utf8' });
  const files = readdirSync(into);
  const of = (name: PackageName): string => join(into, files.find((file) => file.includes(`-${name}-`)) ?? '');
  return { shared: of('shared'), worker: of('worker'), coordinator: of('coordinator') };
}

/** Paths of the files in a tarball of npm's, sorted. */
export function filesIn(tarball: string): string[] {
  return execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((path) => path.replace(/^package\//, ''))
    .sort();
}

/** A file of a tarball. */
export function readFrom(tarball: string, path: string): string {
  return execFileSync('tar', ['-xzOf', tarball, `package/${path}`], { encoding: 'utf8', maxBuffer: 1e8 });
}
