import { captionPictures, type CaptionTools, type Outcome } from './caption/caption-pictures.js';
import { Captioner, checkBeam } from './caption/captioner.js';
import { ContactSheet, thumbnailSide } from './caption/contact-sheet.js';
import { onEngine } from './caption/engine-asked.js';
import { findPictures, type PictureSource, readPictureFile } from './caption/find-pictures.js';
import { loadCheckpoint } from './caption/load-checkpoint.js';
import { type CaptionOptions, parseCaptionOptions } from './caption/options.js';
import { quietPictures } from './caption/quiet-pictures.js';
import { PictureThreads } from './caption/picture-threads.js';
import { jsonLine, plainLines, summary } from './caption/print.js';
import { type Arrival, watchFolder } from './caption/watch-folder.js';
import { endProcess } from './end-process.js';
import { endWithParent } from './parent.js';

/** The process behind `showtell caption`. @returns the exit code: that of the first picture that failed, or 0 */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseCaptionOptions(argv);
  const model = await onEngine(await loadCheckpoint(options.checkpoint, options.vocabulary), options.engine);
  quietPictures(model.job);
  const beam = checkBeam(options.beam ?? model.job.evaluation.beam, model, 'caption');
  using sheet = options.html === null ? null : new ContactSheet(options.html, { checkpoint: options.checkpoint, beam });
  const rules = { maxMegapixels: options.maxMegapixels, setting: '--max-megapixels' };
  await using captioner = await Captioner.open(model, { threads: options.threads });
  await using threads = await PictureThreads.open(model.job, rules, sheet === null ? null : thumbnailSide);

  const tell = new Teller(options, sheet);
  const tools = { captioner, threads, beam, upright: options.upright };
  for await (const outcome of captionPictures(findPictures(options.inputs, findOptions(options)), tools))
    if (!tell.outcome(outcome)) return readerGone;
  tell.sum();
  if (options.watch !== null) await watch(options.watch, options, tools, tell);
  sheet?.finish();
  return tell.exitCode;
}

function findOptions({ recursive, maxMegabytes, timeout }: CaptionOptions) {
  return { recursive, maxBytes: maxMegabytes * 1_048_576, timeoutMs: timeout * 1000 };
}

/** When nobody reads standard output any more, as after `| head`: what a shell says of a command that SIGPIPE ended. */
const readerGone = 141;

/** Captions what appears in a folder until SIGINT or SIGTERM. */
async function watch(folder: string, options: CaptionOptions, tools: CaptionTools, tell: Teller): Promise<void> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.on('SIGINT', end).on('SIGTERM', end);
  const how = { recursive: options.recursive, everyMs: 500, patienceMs: 5_000, signal: stop.signal };
  const ready = (): void => void process.stderr.write(`showtell caption: watching ${folder}; Ctrl-C ends it\n`);
  for await (const arrivals of watchFolder(folder, how, ready)) {
    const byName = new Map(arrivals.map((arrival) => [arrival.file, arrival]));
    for await (const outcome of captionPictures(sourcesOf(arrivals, findOptions(options).maxBytes), tools)) {
      const arrival = byName.get(outcome.name);
      // What does not decode yet may be half written: it is tried again until it has stood still for a while.
      if ('error' in outcome && arrival?.isLastTry === false) continue;
      arrival?.done();
      if (!tell.outcome(outcome)) stop.abort();
    }
  }
  process.off('SIGINT', end).off('SIGTERM', end);
}

async function* sourcesOf(arrivals: readonly Arrival[], maxBytes: number): AsyncGenerator<PictureSource> {
  for (const { file } of arrivals) yield { name: file, bytes: () => readPictureFile(file, maxBytes) };
}

/** Tells each outcome where it belongs: results on standard output, failures on standard error, both on the sheet. */
class Teller {
  exitCode = 0;
  #done = 0;
  #failed = 0;
  #isRead = true;
  readonly #begun = performance.now();

  constructor(
    private readonly options: CaptionOptions,
    private readonly sheet: ContactSheet | null,
  ) {
    process.stdout.on('error', () => (this.#isRead = false));
  }

  /** @returns whether somebody still reads standard output */
  outcome(outcome: Outcome): boolean {
    this.sheet?.add(outcome);
    if ('error' in outcome) {
      const { error } = outcome;
      this.#failed++;
      if (this.exitCode === 0) this.exitCode = error.exitCode;
      process.stderr.write(`showtell caption: ${error.message}\n${error.remedy}\n`);
      return this.#isRead;
    }
    const { name, picture, captions } = outcome;
    this.#done++;
    process.stdout.write(this.options.json ? jsonLine(name, captions) : plainLines(name, captions));
    if (picture.orientation !== 1 && !this.options.upright)
      process.stderr.write(`showtell caption: ${name} is stored turned (EXIF); --upright captions it as it is shown\n`);
    return this.#isRead;
  }

  sum(): void {
    if (this.#done + this.#failed > 1)
      process.stderr.write(summary(this.#done, this.#failed, (performance.now() - this.#begun) / 1000));
  }
}

endWithParent();
endProcess('showtell caption', main(process.argv.slice(2)));
