import { access, readFile } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { z } from 'zod';
import { ShowtellError } from '@showtell/shared/errors.js';

/** A picture and what its annotators wrote. */
export interface CaptionedPicture {
  readonly imageId: number;
  /** As the annotations name it, relative to the folder of images. */
  readonly fileName: string;
  /** Where it is. */
  readonly file: string;
  /** In the order of the annotations. */
  readonly captions: readonly { readonly id: number; readonly text: string }[];
  /** Of drawn scenes: what is truly in the picture. */
  readonly scene?: unknown;
}

/** A picture that an annotation file names but that can't be used, and why. */
export interface SkippedPicture {
  readonly imageId: number;
  readonly file: string;
  readonly reason: string;
}

const cocoSchema = z.object({
  images: z.array(z.object({ id: z.int(), file_name: z.string().min(1), scene: z.unknown().optional() })),
  annotations: z.array(z.object({ id: z.int(), image_id: z.int(), caption: z.string() })),
});
type CocoCaptions = z.infer<typeof cocoSchema>;

/**
 * Reads a COCO caption annotation file.
 * @throws ShowtellError `file/missing`, `data/annotations-unreadable` naming the field
 */
async function readCocoCaptions(file: string): Promise<CocoCaptions> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file, what: 'The annotation file' }, { cause });
  });
  const unreadable = (detail: string, cause?: unknown) =>
    new ShowtellError('data/annotations-unreadable', { file, detail }, { cause });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw unreadable(`it is no JSON (${cause instanceof Error ? cause.message : String(cause)})`, cause);
  }
  const parsed = cocoSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw unreadable(issue === undefined ? 'its fields are wrong' : `${issue.path.join('.') || 'it'}: ${issue.message}`);
}

/**
 * The pictures of an annotation file in its order, each with its captions; each must have a caption and a file, as
 * im2txt asserts. With `skipped` given, those without are added there instead.
 * @throws ShowtellError `data/annotations-unreadable`, `data/image-absent`, `data/image-uncaptioned`, `file/missing`
 */
export async function loadPictures(
  annotations: string,
  imageFolder: string,
  skipped: SkippedPicture[] | null,
): Promise<CaptionedPicture[]> {
  const coco = await readCocoCaptions(annotations);
  await access(imageFolder).catch((cause: unknown) => {
    throw new ShowtellError('file/missing', { file: imageFolder, what: 'The folder of images' }, { cause });
  });
  const captions = new Map<number, { id: number; text: string }[]>();
  for (const { id, file_name } of coco.images) {
    if (captions.has(id)) throw unusable(annotations, `image id ${id} (${file_name}) stands twice`);
    captions.set(id, []);
  }
  for (const { id, image_id, caption } of coco.annotations) {
    const list = captions.get(image_id);
    if (list !== undefined) list.push({ id, text: caption });
    else if (skipped === null) throw unusable(annotations, `annotation ${id} is for image ${image_id}, which it lacks`);
    else skipped.push({ imageId: image_id, file: '', reason: `annotation ${id} is for an image that is not listed` });
  }
  if (coco.images.length === 0) throw unusable(annotations, 'it lists no images');
  const pictures: CaptionedPicture[] = [];
  for (const { id: imageId, file_name: fileName, scene } of coco.images) {
    const file = join(imageFolder, fileName);
    const within = relative(imageFolder, file);
    if (within.startsWith('..') || isAbsolute(within)) {
      throw unusable(annotations, `image ${imageId} has the file name ${fileName}, outside the folder of images`);
    }
    const own = captions.get(imageId) ?? [];
    const fault = await pictureFault(file, imageId, annotations, own.length);
    if (fault === null) {
      pictures.push({ imageId, fileName, file, captions: own, ...(scene === undefined ? {} : { scene }) });
    } else if (skipped === null) {
      throw fault;
    } else {
      skipped.push({ imageId, file: fileName, reason: fault.message });
    }
  }
  return pictures;
}

async function pictureFault(
  file: string,
  imageId: number,
  annotations: string,
  captions: number,
): Promise<ShowtellError | null> {
  if (captions === 0) return new ShowtellError('data/image-uncaptioned', { file, imageId, annotations });
  return access(file).then(
    () => null,
    (cause: unknown) => new ShowtellError('data/image-absent', { file, imageId, annotations }, { cause }),
  );
}

function unusable(file: string, detail: string): ShowtellError {
  return new ShowtellError('data/annotations-unreadable', { file, detail });
}

/** COCO's caption annotations of some pictures, as evaluation scripts read them. */
export function formatCocoCaptions(pictures: readonly CaptionedPicture[], description: string): string {
  const coco = {
    info: { description },
    licenses: [],
    type: 'captions',
    images: pictures.map(({ imageId, fileName, scene }) => ({
      id: imageId,
      file_name: fileName,
      ...(scene === undefined ? {} : { scene }),
    })),
    annotations: pictures.flatMap(({ imageId, captions }) =>
      captions.map(({ id, text }) => ({ id, image_id: imageId, caption: text })),
    ),
  };
  return `${JSON.stringify(coco)}\n`;
}
