import { SPLIT_NAMES, type DatasetManifest } from '@showtell/shared/data/manifest.js';
import { readManifest } from '@showtell/shared/data/dataset.js';

/** Prints what a finished data folder holds; `built` is null when it was there before. */
export async function reportBuilt(directory: string, built: DatasetManifest | null, json: boolean): Promise<void> {
  const manifest = built ?? (await readManifest(directory));
  if (json) {
    process.stdout.write(`${JSON.stringify(summary(directory, manifest))}\n`);
    return;
  }
  const lines = [`${directory} ${built === null ? 'is complete already' : 'is ready'}: ${describe(manifest)}`];
  for (const { imageId, file, reason } of manifest.skipped)
    lines.push(`  left out: image ${imageId} ${file}: ${reason}`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

export function summary(directory: string, manifest: DatasetManifest): object {
  const splits = Object.fromEntries(
    SPLIT_NAMES.map((name) => {
      const { records, images, shards, excluded } = manifest.splits[name];
      return [name, { records, images, shards: shards.length, excluded: excluded.length }];
    }),
  );
  const { vocabulary, digest, skipped } = manifest;
  return { directory, digest, vocabulary, splits, skipped: skipped.length };
}

/** A line for each picture, caption and record that the set does without. */
export function leftOut(manifest: DatasetManifest): string[] {
  const skipped = manifest.skipped.map(
    ({ imageId, file, reason }) => `  left out: image ${imageId} ${file}: ${reason}`,
  );
  const excluded = SPLIT_NAMES.flatMap((name) =>
    manifest.splits[name].excluded.map(
      ({ shard, record, reason }) => `  excluded: record ${record} of shard ${shard} of ${name}: ${reason}`,
    ),
  );
  return [...skipped, ...excluded];
}

/** A data folder in one line. */
export function describe(manifest: DatasetManifest): string {
  const parts = SPLIT_NAMES.map((name) => {
    const { records, images, shards } = manifest.splits[name];
    return `${name} ${records} captions of ${images} pictures in ${shards.length} shard${shards.length === 1 ? '' : 's'}`;
  });
  return `${parts.join(', ')}; ${manifest.vocabulary.size} words; digest ${manifest.digest.slice(0, 12)}`;
}
