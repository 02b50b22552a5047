import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface SourceFile {
  /** Such as `worker/src/input/batch.ts`. */
  readonly path: string;
  /** Paths of the same form; packages from elsewhere are left out. */
  readonly imports: readonly string[];
  /** What is loaded together with the file: no `import()`, and packages from elsewhere by their name. */
  readonly loadedWith: readonly string[];
}

function sources(): SourceFile[] {
  return ['shared', 'worker', 'coordinator'].flatMap((name) => {
    const folder = join(root, 'packages', name, 'src');
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => {
        const full = join(folder, file);
        // Types are erased: they bind no module to another when it is loaded.
        const text = readFileSync(full, 'utf8').replace(/import type [^;]*;/g, '');
        const targets = (pattern: RegExp): string[] =>
          [...text.matchAll(pattern)].map(([, specifier = '']) => {
            if (specifier.startsWith('.'))
              return relative(join(root, 'packages'), join(dirname(full), specifier)).replace(/\.js$/, '.ts');
            return specifier.replace(/^@showtell\/([a-z]+)\/(.*)\.js$/, '$1/src/$2.ts');
          });
        return {
          path: relative(join(root, 'packages'), full),
          imports: targets(/(?:from|import\()\s*'([^']+)'/g),
          loadedWith: targets(/^(?:(?:import|export) .*|\}) from '([^']+)';$/gm),
        };
      });
  });
}

/** Rooms in the order in which imports may go: a room imports from itself and from rooms before it. */
const orders: Record<string, readonly (readonly string[])[]> = {
  shared: [
    ['generated', 'errors.ts', 'random.ts', 'exact-math.ts', 'version.ts'],
    ['tensors'],
    ['data', 'model'],
    ['job'],
    ['plan'],
    ['security'],
    ['bus', 'rpc', 'service', 'set-up'],
  ],
  worker: [
    ['model'],
    ['engine'],
    ['input', 'parameters'],
    ['units'],
    ['worker.ts', 'caption', 'perplexity'],
    ['serve'],
    ['main.ts', 'caption.ts', 'perplexity.ts', 'serve.ts'],
  ],
};

function rankOf(path: string): { order: string; rank: number } | null {
  const [name = '', , room = ''] = path.split('/');
  const rank = orders[name]?.findIndex((rooms) => rooms.includes(room)) ?? -1;
  return rank === -1 ? null : { order: name, rank };
}

describe('the layout', () => {
  const files = sources();

  it('has files to look at', () => {
    expect(files.length).toBeGreaterThan(80);
  });

  it('lets coordinator and worker meet through proto and processes only', () => {
    const crossing = files.flatMap(({ path, imports }) => {
      const [own] = path.split('/');
      return imports
        .filter((target) => /^(worker|coordinator)\/src\//.test(target) && !target.startsWith(`${own ?? ''}/`))
        .map((target) => `${path} imports ${target}`);
    });
    expect(crossing).toEqual([]);
    expect(
      files.filter(
        ({ path, imports }) =>
          path.startsWith('shared/') && imports.some((target) => /^(worker|coordinator)\//.test(target)),
      ),
    ).toEqual([]);
  });

  it('lets imports go one way between rooms', () => {
    const backwards = files.flatMap(({ path, imports }) => {
      const from = rankOf(path);
      if (from === null) return [];
      return imports
        .filter((target) => {
          const to = rankOf(target);
          return to !== null && to.order === from.order && to.rank > from.rank;
        })
        .map((target) => `${path} imports ${target}`);
    });
    expect(backwards).toEqual([]);
  });

  it('lets no stage of the coordinator know the run or the command line', () => {
    const stages = /^coordinator\/src\/(phases|parameter-server|checkpoints|evaluation|data|local)\//;
    const wrong = files.flatMap(({ path, imports }) =>
      stages.test(path)
        ? imports
            .filter((target) => /^coordinator\/src\/(run\.ts|cli\/)/.test(target))
            .map((target) => `${path} imports ${target}`)
        : [],
    );
    expect(wrong).toEqual([]);
  });

  it('starts the command line without what a command’s action needs', () => {
    const graph = new Map(files.map(({ path, loadedWith }) => [path, loadedWith]));
    const commands = [...graph.keys()].filter((path) => path.startsWith('coordinator/src/cli/commands/'));
    const packages = new Set<string>();
    const seen = new Set<string>();
    const visit = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      const next = graph.get(path);
      if (next === undefined) packages.add(path);
      else for (const target of next) visit(target);
    };
    for (const path of ['coordinator/src/cli/main.ts', ...commands]) visit(path);
    expect(commands.length).toBeGreaterThan(30);
    expect([...packages].filter((name) => !name.startsWith('node:')).sort()).toEqual(['commander', 'picocolors']);
  });

  it('has no import cycle', () => {
    const graph = new Map(files.map(({ path, imports }) => [path, imports]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) {
        cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
        return;
      }
      if (done.has(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });
});
