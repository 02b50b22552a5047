import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ShowtellError } from '../errors.js';
import { MANIFEST_FILE, readManifest } from './dataset.js';
import { readVocabulary, type Vocabulary } from './vocabulary.js';

/** What a checkpoint says of its words. */
interface WordsOfCheckpoint {
  /** The checkpoint's folder. */
  readonly directory: string;
  readonly vocabularySha256: string;
  /** The data folder of its run; null where it names none. */
  readonly data: string | null;
}

export const vocabularyFile = 'word_counts.txt';

/**
 * The words of a checkpoint: from the file given, else the one beside the checkpoint, in its run's folder or in the
 * run's data.
 * @throws ShowtellError `caption/no-vocabulary`, `caption/other-vocabulary`, `data/vocabulary-unreadable`
 */
export async function findVocabulary(
  { directory, vocabularySha256, data }: WordsOfCheckpoint,
  given: string | null,
): Promise<{ readonly file: string; readonly vocabulary: Vocabulary }> {
  const places =
    given === null ? [join(directory, vocabularyFile), join(dirname(dirname(directory)), vocabularyFile)] : [given];
  if (given === null && data !== null && existsSync(join(data, MANIFEST_FILE)))
    places.push(join(data, (await readManifest(data)).vocabulary.file));
  const file = places.find((place) => existsSync(place));
  if (file === undefined) throw new ShowtellError('caption/no-vocabulary', { checkpoint: directory, places });
  const vocabulary = await readVocabulary(file);
  if (vocabulary.sha256 !== vocabularySha256)
    throw new ShowtellError('caption/other-vocabulary', { checkpoint: directory, file });
  return { file, vocabulary };
}
