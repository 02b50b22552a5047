import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface LockedPackage {
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Folders that a package at `at` looks for its dependencies in, innermost first. */
function* searched(at: string): Generator<string> {
  for (let folder = at; folder !== ''; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/'))))
    yield `${folder}/node_modules/`;
  yield 'node_modules/';
}

// npm 11 refuses a lock file without them, and npm install leaves those out that its registry does not have.
it("the lock file has an entry for every platform's optional package, as npm ci asks", () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Readonly<Record<string, LockedPackage>>;
  };
  const missing = Object.entries(packages).flatMap(([at, { optionalDependencies = {} }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => ![...searched(at)].some((folder) => packages[`${folder}${name}`] !== undefined))
      .map(([name, version]) => `${name}@${version} of ${at}`),
  );
  expect(missing).toEqual([]);
});
