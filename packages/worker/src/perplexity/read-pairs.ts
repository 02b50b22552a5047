import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { type CaptionExample, decodeCaptionExample } from '@showtell/shared/data/sequence-example.js';
import { scanRecords } from '@showtell/shared/data/tfrecord.js';
import { ShowtellError } from '@showtell/shared/errors.js';

/** An image–caption pair and where it stands. */
export interface FoundPair extends CaptionExample {
  /** For messages: "Record 3 of FILE". */
  readonly where: string;
}

/** What the word ids of a record must fit. */
export interface WordRules {
  /** The words the model was trained with. */
  readonly vocabulary: Vocabulary;
  /** Rows of its tables. */
  readonly rows: number;
}

/**
 * The pairs of TFRecord files as im2txt wrote them, read from start to end: no index is needed. A pair's JPEG is a view
 * that the next one overwrites.
 *
 * @throws ShowtellError `data/shard-unreadable`, `data/record-malformed`, `perplexity/unknown-word`,
 * `perplexity/other-words`, each naming file and record
 */
export async function* readPairs(files: readonly string[], rules: WordRules): AsyncGenerator<FoundPair> {
  for (const file of files) {
    let record = 0;
    for await (const { data, offset, sound } of scanRecords(file)) {
      const where = `Record ${record} of ${file}`;
      if (!sound) {
        const detail = `record ${record}, at byte ${offset}, does not have the CRC that it states`;
        throw new ShowtellError('data/shard-unreadable', { file, detail });
      }
      const pair = decodeCaptionExample(data, where);
      checkWords(pair, where, rules);
      yield { ...pair, where };
      record++;
    }
  }
}

/** Ids mean words: those that the record has beside them must be the vocabulary's. */
function checkWords({ ids, words }: CaptionExample, where: string, { vocabulary, rows }: WordRules): void {
  if (ids.length < 2) throw new ShowtellError('data/record-malformed', { where, detail: 'its caption has no word' });
  for (const [i, id] of ids.entries()) {
    const word = words[i] ?? '';
    if (id >= rows) throw new ShowtellError('perplexity/unknown-word', { where, id, word, rows });
    if (vocabulary.id(word) !== id)
      throw new ShowtellError('perplexity/other-words', { where, id, word, known: vocabulary.word(id) });
  }
}
