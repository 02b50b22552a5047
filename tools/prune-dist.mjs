// Removes from each package's dist what no source compiles to any more: TypeScript leaves it there when a file moves, and it
// would be packed.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packages = fileURLToPath(new URL('../packages', import.meta.url));
for (const name of readdirSync(packages)) {
  const dist = join(packages, name, 'dist');
  if (!existsSync(dist)) continue;
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const source = join(packages, name, 'src', file.slice(dist.length + 1).replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts'));
    if (entry.isFile() && entry.name !== '.tsbuildinfo' && !existsSync(source)) rmSync(file);
  }
}
