import { readFile } from 'node:fs/promises';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { ZodType } from 'zod';
import type { Annotations, ImageId, Results } from './coco-schemas.js';
import type { ScoredCaption } from './scores/number-tokens.js';
import { tokenizeCaptions } from './scores/tokenize.js';

/**
 * A schema, which finds the fault, and a check that spares sound files its cost: loading it, and most of the time of
 * reading a big one.
 */
interface Shape<T> {
  readonly schema: () => Promise<ZodType<T>>;
  /** Never true of what the schema refuses. */
  readonly isSound: (content: unknown) => content is T;
}

const annotationsShape: Shape<Annotations> = {
  schema: async () => (await import('./coco-schemas.js')).annotationsSchema,
  isSound: (content): content is Annotations =>
    isObject(content) &&
    Array.isArray(content['images']) &&
    content['images'].every((image: unknown) => isObject(image) && isImageId(image['id'])) &&
    areCaptions(content['annotations']),
};
const resultsShape: Shape<Results> = {
  schema: async () => (await import('./coco-schemas.js')).resultsSchema,
  isSound: areCaptions,
};

function areCaptions(content: unknown): content is Results {
  return (
    Array.isArray(content) &&
    content.every(
      (item: unknown) => isObject(item) && isImageId(item['image_id']) && typeof item['caption'] === 'string',
    )
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isImageId(value: unknown): value is ImageId {
  return typeof value === 'string' ? value !== '' : Number.isSafeInteger(value);
}

export interface ResultsToScore {
  /** COCO's caption annotations: `{images: [{id}], annotations: [{image_id, caption}]}`. */
  readonly annotations: string;
  /** COCO's caption results: `[{image_id, caption}]`, one an image. */
  readonly results: string;
  /** Score the images there are results for, and don't ask for the others. */
  readonly partial?: boolean;
}

/** A caption of a results file and what people said of its image, as the files have them. */
export interface ReadCaption {
  readonly imageId: ImageId;
  readonly caption: string;
  readonly references: readonly string[];
}

/**
 * Reads captions and their references in the order of the annotations' images. As in coco-caption, every result must be
 * for an image of the annotations that has references; beyond it, no image may have two results or, unless `partial`,
 * none. An image with neither result nor reference is passed over.
 * @throws ShowtellError `file/missing`, `captions/unreadable`, `captions/duplicate-result`, `captions/unknown-image`,
 * `captions/no-reference`, `captions/missing-result`
 */
export async function readResults({ annotations, results, partial = false }: ResultsToScore): Promise<ReadCaption[]> {
  const truth = await readJson(annotations, 'The annotation file', annotationsShape);
  const references = new Map<ImageId, string[]>();
  for (const { id } of truth.images) {
    if (references.has(id))
      throw unreadable(annotations, 'The annotation file', `image ${id} stands twice in its images`);
    references.set(id, []);
  }
  for (const { image_id, caption } of truth.annotations) {
    const captions = references.get(image_id);
    if (captions === undefined) {
      throw unreadable(
        annotations,
        'The annotation file',
        `a caption is for image ${image_id}, which is not in its images`,
      );
    }
    captions.push(caption);
  }

  const candidates = new Map<ImageId, string>();
  for (const { image_id, caption } of await readJson(results, 'The results file', resultsShape)) {
    if (candidates.has(image_id))
      throw new ShowtellError('captions/duplicate-result', { file: results, imageId: image_id });
    candidates.set(image_id, caption);
  }
  const described = [...references].filter(([, captions]) => captions.length > 0);
  const unknown = [...candidates.keys()].filter((id) => !references.has(id));
  const bare = [...candidates.keys()].filter((id) => references.get(id)?.length === 0);
  const missing = described.map(([id]) => id).filter((id) => !candidates.has(id));
  const where = { file: results, annotations };
  if (unknown[0] !== undefined) {
    throw new ShowtellError('captions/unknown-image', { ...where, imageId: unknown[0], count: unknown.length });
  }
  if (bare[0] !== undefined) {
    throw new ShowtellError('captions/no-reference', { ...where, imageId: bare[0], count: bare.length });
  }
  if (missing[0] !== undefined && !partial) {
    throw new ShowtellError('captions/missing-result', { ...where, imageId: missing[0], count: missing.length });
  }
  if (candidates.size === 0) throw unreadable(results, 'The results file', 'it holds no captions');

  return described.flatMap(([imageId, references]) => {
    const caption = candidates.get(imageId);
    return caption === undefined ? [] : [{ imageId, caption, references }];
  });
}

/** Captions tokenised as coco-caption does it: all references as one stream, all captions as another. */
export function tokenizeResults(captions: readonly ReadCaption[]): ScoredCaption[] {
  const candidates = tokenizeCaptions(captions.map(({ caption }) => caption));
  const references = tokenizeCaptions(captions.flatMap((caption) => caption.references));
  let end = 0;
  return captions.map((caption, i) => ({
    candidate: candidates[i] ?? [],
    references: references.slice(end, (end += caption.references.length)),
  }));
}

async function readJson<T>(file: string, what: string, { schema, isSound }: Shape<T>): Promise<T> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT')
      throw new ShowtellError('file/missing', { file, what }, { cause });
    throw unreadable(file, what, (cause as Error).message, cause);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw unreadable(file, what, `it is no JSON (${(cause as Error).message})`, cause);
  }
  if (isSound(json)) return json;
  const parsed = (await schema()).safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const place = issue?.path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('') ?? '';
  throw unreadable(
    file,
    what,
    `at ${place === '' ? 'the top' : place.replace(/^\./u, '')}: ${issue?.message ?? 'wrong'}`,
  );
}

function unreadable(file: string, what: string, reason: string, cause?: unknown): ShowtellError {
  return new ShowtellError('captions/unreadable', { file, what, reason }, { cause });
}
