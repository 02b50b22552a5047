import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { tensorflowVersion, type EngineKind } from './wheels.js';

/** Where the pieces of one engine lie in the user's cache; none need exist. */
export interface EngineFolder {
  readonly kind: EngineKind;
  /** `CACHE/engine/tensorflow-2.21.0-cpu`. */
  readonly root: string;
  /** Laid out as in site-packages (`tensorflow/`, `nvidia/`), so that the libraries find each other. */
  readonly runtime: string;
  readonly include: string;
  /** One a version of the addon's sources: checkouts with different ones share the runtime only. */
  readonly addonFolder: string;
  readonly addon: string;
}

/** The parts of tfjs-node-gpu that come with this package; its binding's sources are compiled as they are. */
export function tfjsNodeFolder(): string {
  return fileURLToPath(new URL('../../../vendor/tfjs-node', import.meta.url));
}

export function engineFolder(kind: EngineKind): EngineFolder {
  const root = join(cacheFolder(), 'engine', `tensorflow-${tensorflowVersion}-${kind}`);
  const runtime = join(root, 'runtime');
  const addonFolder = join(root, `addon-${sourceHash()}`);
  return {
    kind,
    root,
    runtime,
    include: join(runtime, 'tensorflow', 'include'),
    addonFolder,
    addon: join(addonFolder, 'tfjs_binding.node'),
  };
}

/** Raised when the way of compiling changes, so that addons of before are not taken for new ones. */
const recipe = 1;

function sourceHash(): string {
  const binding = join(tfjsNodeFolder(), 'binding');
  const hash = createHash('sha256').update(`recipe ${recipe}\n`);
  for (const name of readdirSync(binding).sort()) {
    hash.update(`${name}\n`).update(readFileSync(join(binding, name)));
  }
  return hash.digest('hex').slice(0, 12);
}
