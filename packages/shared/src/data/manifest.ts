import { createHash } from 'node:crypto';
import { z } from 'zod';

/** Why a record that is sound by its CRC is not used. */
const excludedSchema = z.strictObject({
  shard: z.int().min(0),
  /** Number of the record in its shard. */
  record: z.int().min(0),
  reason: z.string(),
});
export type ExcludedRecord = z.infer<typeof excludedSchema>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const fileName = z.string().regex(/^(?!\.{1,2}$)[^/\\\0]+$/, 'a file name without a folder');

const splitSchema = z.strictObject({
  shards: z.array(
    z.strictObject({ file: fileName, records: z.int().min(0), bytes: z.int().min(0), indexSha256: sha256 }),
  ),
  /** Records of all shards, the excluded among them. */
  records: z.int().min(0),
  excluded: z.array(excludedSchema),
  /** Distinct image ids. */
  images: z.int().min(0),
  /** COCO caption annotations of this split's pictures, the references of the evaluation; null when unknown. */
  captions: fileName.nullable(),
  digest: sha256,
});
export type SplitManifest = z.infer<typeof splitSchema>;

/** dataset.json: what a data folder holds. It has no clock in it, so that the same input gives the same bytes. */
export const manifestSchema = z.strictObject({
  format: z.literal('showtell-dataset-1'),
  /** The command and its options; for people and for resuming, not hashed. */
  source: z.looseObject({ kind: z.enum(['build-coco', 'synth', 'index']) }),
  vocabulary: z.strictObject({ file: fileName, size: z.int().min(3), sha256 }),
  splits: z.strictObject({ train: splitSchema, val: splitSchema, test: splitSchema }),
  /** Pictures and captions left out while building, each with its reason. */
  skipped: z.array(z.strictObject({ imageId: z.int(), file: z.string(), reason: z.string() })),
  digest: sha256,
});
export type DatasetManifest = z.infer<typeof manifestSchema>;

export const SPLIT_NAMES = ['train', 'val', 'test'] as const;
export type SplitName = (typeof SPLIT_NAMES)[number];

/**
 * SHA-256 over what a split's records are: a line "NAME", then for each shard a line "RECORDS SHA256-OF-ITS-INDEX",
 * then for each excluded record a line "excluded SHARD RECORD". File names and reasons don't enter.
 */
export function splitDigest(
  name: SplitName,
  shards: readonly { records: number; indexSha256: string }[],
  excluded: readonly { shard: number; record: number }[],
): string {
  const hash = createHash('sha256').update(`${name}\n`);
  for (const shard of shards) hash.update(`${shard.records} ${shard.indexSha256}\n`);
  for (const { shard, record } of excluded) hash.update(`excluded ${shard} ${record}\n`);
  return hash.digest('hex');
}

/** SHA-256 over the vocabulary's hash and the digests of train, val and test, a line each. */
export function datasetDigest(vocabularySha256: string, splitDigests: Readonly<Record<SplitName, string>>): string {
  const hash = createHash('sha256').update(`${vocabularySha256}\n`);
  for (const name of SPLIT_NAMES) hash.update(`${splitDigests[name]}\n`);
  return hash.digest('hex');
}

/** im2txt's name of a shard: `train-00000-of-00256`. */
export function shardFileName(split: SplitName, shard: number, shards: number): string {
  return `${split}-${String(shard).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}`;
}
