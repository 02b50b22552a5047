// Writes the sound inputs of every target into the corpus: tsx test/fuzz/make-seeds.ts
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { corpusFolder } from './corpus.js';
import { targetNamed, targetNames } from './targets.js';

for (const name of targetNames) {
  const { seeds } = await targetNamed(name);
  const folder = corpusFolder(name);
  mkdirSync(folder, { recursive: true });
  for (const old of readdirSync(folder)) if (old.startsWith('seed-')) rmSync(join(folder, old));
  for (const [seed, bytes] of Object.entries(seeds())) writeFileSync(join(folder, `seed-${seed}`), bytes);
}
