import { createHash } from 'node:crypto';
import { ShowtellError } from '@showtell/shared/errors.js';
import { phaseNames } from '@showtell/shared/job/phases.js';
import { z } from 'zod';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().min(0);

/** What a run knows of a version besides its values. */
const aboutSchema = z.strictObject({
  run: z.string(),
  /** Updates applied. */
  step: count,
  phase: z.enum(phaseNames),
  /** Step at which the joint phase began; null before it. */
  switchedAt: count.nullable(),
  /** Where each phase began, in order. */
  phaseHistory: z.array(z.strictObject({ phase: z.enum(phaseNames), fromStep: count })),
  lineage: count,
  generation: count,
  /** Training examples that counted, up to this version. */
  examples: count,
  /** Asynchronous mode: units before the last applied one that are not, by their steps; left out where there are none. */
  missing: z.array(count).optional(),
  job: z.record(z.string(), z.unknown()),
  /** SHA-256 of the job's numeric fields. */
  jobSha256: sha256,
  datasetDigest: z.string(),
  vocabularySha256: z.string(),
  /** Hash of the canary gradient of each graph. */
  canaries: z.record(z.string(), sha256),
  /** Scores of the version's evaluation; `bleu4` decides which checkpoint is the best. */
  metrics: z.record(z.string(), z.number().nullable()),
});

const contentSchema = z.strictObject({
  format: z.literal('showtell-checkpoint-1'),
  ...aboutSchema.shape,
  savedAt: z.iso.datetime(),
  /** Weights and moving averages. */
  parameters: z.strictObject({ count, bytes: count, sha256 }),
  /** What the optimizer keeps; 0 bytes for an optimizer without state. */
  optimizer: z.strictObject({ bytes: count, sha256 }),
  files: z.record(z.string().regex(/^[a-z]+\.safetensors$/), z.strictObject({ bytes: count, sha256 })),
});

export type CheckpointAbout = z.infer<typeof aboutSchema>;
export type ManifestContent = z.infer<typeof contentSchema>;

/** manifest.json: what a checkpoint is, and the hashes by which damage to any of its bytes is noticed. */
export type Manifest = ManifestContent & { readonly manifestSha256: string };

/** What a manifest says of the version, without what it says of the files. */
export function aboutOf(manifest: Manifest): CheckpointAbout {
  return aboutSchema.strip().parse(manifest);
}

export const manifestFile = 'manifest.json';
export const parametersFile = 'parameters.safetensors';
export const optimizerFile = 'optimizer.safetensors';

/** The manifest's text; its last field is the SHA-256 of its other fields as compact JSON. */
export function encodeManifest(content: ManifestContent): string {
  return `${JSON.stringify({ ...content, manifestSha256: hashOf(content) }, null, 2)}\n`;
}

/** @throws ShowtellError `checkpoint/damaged` */
export function parseManifest(text: string, path: string): Manifest {
  const refuse = (detail: string, cause?: unknown): ShowtellError =>
    new ShowtellError('checkpoint/damaged', { path, detail }, { cause });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw refuse(`${manifestFile} is no JSON`, cause);
  }
  if (typeof value !== 'object' || value === null) throw refuse(`${manifestFile} is no object`);
  const { manifestSha256, ...rest } = value as Record<string, unknown>;
  let found: string;
  try {
    found = hashOf(rest);
  } catch (cause) {
    throw refuse(`${manifestFile} is nested too deep`, cause);
  }
  if (manifestSha256 !== found) throw refuse(`${manifestFile} does not have the hash it states`);
  const parsed = contentSchema.safeParse(rest);
  if (!parsed.success)
    throw refuse(
      `${manifestFile} does not read as one: ${parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ')}`,
    );
  return { ...parsed.data, manifestSha256: found };
}

function hashOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}
