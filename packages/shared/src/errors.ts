/**
 * Every failure showtell reports on purpose, in one table: a code scripts can match, the exit code of a command that
 * ends by it, the text composed from facts, and what the reader can do. `docs/errors.md` is printed from this table.
 *
 * Exit codes follow sysexits(3) where it has a fitting one: 64 usage, 65 data, 66 input missing, 69 service
 * unavailable, 70 internal, 73 cannot create, 74 input/output, 75 try again, 78 configuration. showtell's own: 10 guard
 * unmet, 11 stopped by a person and resumable.
 */
interface ErrorEntry<F> {
  readonly exit: number;
  /** What happened and where, from facts alone. */
  readonly text: (facts: F) => string;
  /** What to do about it. */
  readonly remedy: (facts: F) => string;
}

function entry<F>(exit: number, text: (facts: F) => string, remedy: (facts: F) => string): ErrorEntry<F> {
  return { exit, text, remedy };
}

export const errorTable = {
  // general
  'usage/invalid': entry<{ detail: string; command: string }>(
    64,
    (f) => f.detail,
    (f) => `Run "showtell ${f.command} --help" for the options.`,
  ),
  'file/missing': entry<{ file: string; what: string }>(
    66,
    (f) => `${f.what} ${f.file} does not exist.`,
    () => 'Check the path.',
  ),
  // data
  'data/record-corrupt': entry<{ file: string; shard: number; offset: number; detail: string }>(
    65,
    (f) => `The record at byte ${f.offset} of shard ${f.shard} (${f.file}) is corrupt: ${f.detail}.`,
    (f) => `Fetch ${f.file} again; "showtell data verify" lists every corrupt record of a data folder.`,
  ),
  'data/record-malformed': entry<{ where: string; detail: string }>(
    65,
    (f) => `${f.where} holds no image–caption pair as im2txt writes it: ${f.detail}.`,
    () => 'Build the shards again, or let "showtell data index" exclude such records by name.',
  ),
  'data/shard-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} cannot be read as a TFRecord file: ${f.detail}.`,
    (f) =>
      `Fetch or build ${f.file} again; if the file was changed on purpose, run "showtell data index" on its folder.`,
  ),
  'data/index-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `The index ${f.file} cannot be used: ${f.detail}.`,
    () => 'Make the indexes again with "showtell data index" on the folder.',
  ),
  'data/folder-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `${f.file} does not describe a data folder: ${f.detail}.`,
    () => 'Build the folder again, or run "showtell data index" on TFRecords that came from im2txt.',
  ),
  'data/folder-not-indexed': entry<{ directory: string }>(
    66,
    (f) => `${f.directory} has no dataset.json, so it is no data folder yet.`,
    (f) => `Run "showtell data index ${f.directory}" on im2txt's TFRecords, or make a set with "showtell data synth".`,
  ),
  'data/folder-occupied': entry<{ directory: string; detail: string }>(
    73,
    (f) => `${f.directory} holds another build: ${f.detail}.`,
    () => 'Give another --out folder, or remove this one first.',
  ),
  'data/vocabulary-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `The vocabulary ${f.file} cannot be used: ${f.detail}.`,
    () => 'It must be the word_counts.txt that im2txt wrote with these records: "word count" lines with <S> and </S>.',
  ),
  'data/annotations-unreadable': entry<{ file: string; detail: string }>(
    65,
    (f) => `The annotations ${f.file} cannot be used: ${f.detail}.`,
    () =>
      'Give a COCO caption file: {"images": [{"id", "file_name"}], "annotations": [{"id", "image_id", "caption"}]}.',
  ),
  'data/image-absent': entry<{ file: string; imageId: number; annotations: string }>(
    66,
    (f) => `Image ${f.imageId} of ${f.annotations} has no file ${f.file}.`,
    () => 'Check --images, fetch the file, or leave such images out with --skip-bad.',
  ),
  'data/image-undecodable': entry<{ file: string; imageId: number; detail: string }>(
    65,
    (f) => `Image ${f.imageId} (${f.file}) is no RGB JPEG that decodes: ${f.detail}.`,
    () =>
      'Fetch the file again, re-encode PNG, CMYK and other pictures with --convert, or leave it out with --skip-bad.',
  ),
  'data/image-uncaptioned': entry<{ file: string; imageId: number; annotations: string }>(
    65,
    (f) => `Image ${f.imageId} (${f.file}) of ${f.annotations} has no caption.`,
    () => 'Add one, or leave such images out with --skip-bad.',
  ),
  'data/caption-length': entry<{ annotationId: number; imageId: number; words: number; limit: number; file: string }>(
    65,
    (f) => `Annotation ${f.annotationId} (image ${f.imageId}, ${f.file}) has ${f.words} words, not 1 to ${f.limit}.`,
    () => 'Mend the caption, raise --max-words, or leave such captions out with --skip-bad.',
  ),
  'data/split-impossible': entry<{ detail: string }>(
    64,
    (f) => `The set cannot be split so: ${f.detail}.`,
    () => 'Give other shares (--split 0.8,0.1,0.1), or --split reuse to train and validate on the same pictures.',
  ),
  // bus
  'bus/unreachable': entry<{ servers: string }>(
    69,
    (f) => `No NATS server answers at ${f.servers}.`,
    () => 'Start it, or check the address; "showtell doctor" says whether one is installed.',
  ),
} as const satisfies Record<string, ErrorEntry<never>>;

export type ErrorCode = keyof typeof errorTable;
export type ErrorFacts<C extends ErrorCode> = Parameters<(typeof errorTable)[C]['text']>[0];

/** A failure from {@link errorTable}. `message` says what and where, `remedy` what to do; the origin is `cause`. */
export class ShowtellError<C extends ErrorCode = ErrorCode> extends Error {
  readonly exitCode: number;
  readonly remedy: string;

  constructor(
    readonly code: C,
    readonly facts: ErrorFacts<C>,
    options?: { cause?: unknown },
  ) {
    const row = errorTable[code] as unknown as ErrorEntry<ErrorFacts<C>>;
    super(row.text(facts), options);
    this.name = 'ShowtellError';
    this.exitCode = row.exit;
    this.remedy = row.remedy(facts);
  }
}
