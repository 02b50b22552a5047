import type { SavedCaption } from '../evaluation/samples.js';
import type { RunFolder } from '../run-folder.js';
import { openInside } from './open-inside.js';
import type { EvaluationPictures } from './page/payload.js';

/** The pictures that an evaluation keeps, with what its version said of them; null where there is none of that step. */
export async function evaluationPictures({ path }: RunFolder, step: number): Promise<EvaluationPictures | null> {
  const handle = await openInside(path, 'evaluations', String(step).padStart(8, '0'), 'captions.json');
  if (handle === null) return null;
  await using _handle = { [Symbol.asyncDispose]: () => handle.close() };
  const saved = JSON.parse(await handle.readFile('utf8')) as readonly SavedCaption[];
  const pictures = saved.flatMap(({ image_id: imageId, image, captions, references }) => {
    if (image === null) return [];
    const found = captions.map(({ caption, logprob, probabilities = [] }) => ({ caption, logprob, probabilities }));
    return [{ imageId, image: image.replace('images/', ''), captions: found, references }];
  });
  return { step, pictures };
}
