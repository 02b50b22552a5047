import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readRecord, type Dataset, type RecordRef, type Split } from '@showtell/shared/data/dataset.js';
import { decodeCaptionIds } from '@showtell/shared/data/sequence-example.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { RecordEvaluation } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { EvaluationKind, type Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Job } from '@showtell/shared/job/job.js';
import { exactLog } from '@showtell/shared/exact-math.js';
import { captionScores, roundScore } from './scores/caption-scores.js';
import type { ScoredCaption } from './scores/number-tokens.js';
import { colorAccuracy } from './scores/colors.js';
import { captionKey, measureNovelty } from './scores/novelty.js';
import { perplexity } from './scores/perplexity.js';
import { tokenizeCaption } from './scores/tokenize.js';

/** What one version scored on the validation split. Scores have nine significant digits, so that decisions are exact. */
export interface EvaluationScores {
  /** Natural-log loss a word in inference mode. */
  readonly lossPerWord: number;
  readonly words: number;
  readonly perplexity: number;
  /** Null where the job captions no pictures. */
  readonly captions: {
    readonly images: number;
    readonly bleu: readonly [number, number, number, number];
    readonly rougeL: number;
    readonly cider: number;
    readonly novelty: number;
    /** Null where no references agree on a colour. */
    readonly colorAccuracy: number | null;
  } | null;
}

/** A caption as the search ended with it. */
export interface FoundCaption {
  readonly caption: string;
  /** Natural logarithm of the probability of all words, the end among them. */
  readonly logprob: number;
  /** Of each word after those before it, and of the end if it was said, to three significant digits. */
  readonly probabilities: readonly number[];
}

/** One picture as a version captioned it. */
export interface CaptionedImage {
  readonly imageId: number;
  readonly record: RecordRef;
  /** Best first. */
  readonly captions: readonly FoundCaption[];
  readonly references: readonly string[];
}

export interface EvaluationResult {
  readonly scores: EvaluationScores;
  readonly images: readonly CaptionedImage[];
}

/** What a unit of an evaluation is to compute. */
export type EvaluationWork = Extract<Unit['work'], { $case: 'evaluation' }>;

interface Picture {
  readonly imageId: number;
  readonly record: RecordRef;
}

/** What people said of a picture, as they wrote it and as it is scored. */
interface Reference {
  readonly text: string;
  readonly tokens: readonly string[];
}

/** Annotations in COCO's form, as far as references need them. */
interface CaptionAnnotations {
  readonly annotations: readonly { readonly image_id: number; readonly caption: string }[];
}

/**
 * How versions are scored: which validation records, in which units, and what their results add up to. The same records
 * in the same order each time, sums in unit order in float64.
 */
export class Evaluation {
  private constructor(
    private readonly split: Split,
    private readonly perplexityUnits: readonly (readonly RecordRef[])[],
    private readonly captionUnits: readonly (readonly Picture[])[],
    private readonly references: ReadonlyMap<number, readonly Reference[]>,
    private readonly trainingCaptions: ReadonlySet<string>,
    /** Loss a word, in nats, of guessing each word by how often the training captions have it. */
    readonly unigramLossPerWord: number,
  ) {}

  /** @throws ShowtellError `data/split-empty` when there is nothing to validate on. */
  static async open(dataset: Dataset, job: Job): Promise<Evaluation> {
    const split = dataset.split('val');
    if (split.count === 0) throw new ShowtellError('data/split-empty', { directory: dataset.directory, split: 'val' });
    const { perplexityExamples, captionImages, unitExamples } = job.evaluation;
    const records = Array.from({ length: Math.min(perplexityExamples, split.count) }, (_, i) => split.record(i));
    const pictures = await firstPictures(split, captionImages);
    const references = await readReferences(split, pictures, dataset);
    const training = captionImages > 0 ? await readTrainingCaptions(dataset) : new Set<string>();
    return new Evaluation(
      split,
      chunk(records, unitExamples),
      chunk(pictures, unitExamples),
      references,
      training,
      await unigramLoss(dataset),
    );
  }

  /** The evaluation's units, in index order. */
  work(): EvaluationWork[] {
    const unit = (kind: EvaluationKind, records: readonly RecordRef[]): EvaluationWork => ({
      $case: 'evaluation',
      value: { kind, split: this.split.name, records: [...records] },
    });
    return [
      ...this.perplexityUnits.map((records) => unit(EvaluationKind.EVALUATION_KIND_PERPLEXITY, records)),
      ...this.captionUnits.map((pictures) =>
        unit(
          EvaluationKind.EVALUATION_KIND_CAPTIONS,
          pictures.map(({ record }) => record),
        ),
      ),
    ];
  }

  /** @param results of every unit, in index order. */
  score(results: readonly (readonly RecordEvaluation[])[]): EvaluationResult {
    let lossSum = 0;
    let words = 0;
    for (const result of results.slice(0, this.perplexityUnits.length))
      for (const record of result) {
        lossSum += record.lossSum;
        words += record.tokens;
      }
    const images = this.captionUnits.flatMap((pictures, unit) =>
      pictures.flatMap(({ imageId, record }, i): CaptionedImage[] => {
        const result = results[this.perplexityUnits.length + unit]?.[i];
        if (result === undefined || result.skipped) return [];
        const captions = result.captions.map(({ caption, logProbability, wordProbabilities }) => ({
          caption,
          logprob: logProbability,
          probabilities: wordProbabilities.map((p) => Number(p.toPrecision(3))),
        }));
        return [{ imageId, record, captions, references: this.referencesOf(imageId).map(({ text }) => text) }];
      }),
    );
    const lossPerWord = lossSum / words;
    return {
      scores: {
        lossPerWord,
        words,
        perplexity: roundScore(perplexity(lossSum, words)),
        captions: images.length === 0 ? null : this.scoreCaptions(images),
      },
      images,
    };
  }

  private referencesOf(imageId: number): readonly Reference[] {
    return this.references.get(imageId) ?? [];
  }

  private scoreCaptions(images: readonly CaptionedImage[]): NonNullable<EvaluationScores['captions']> {
    const scored = images.map(({ imageId, captions }): ScoredCaption => ({
      candidate: tokenizeCaption(captions[0]?.caption ?? ''),
      references: this.referencesOf(imageId).map(({ tokens }) => tokens),
    }));
    const scores = captionScores(scored).corpus;
    const colors = colorAccuracy(scored);
    const { novelty } = measureNovelty(
      scored.map(({ candidate }) => candidate),
      this.trainingCaptions,
    );
    return {
      images: images.length,
      bleu: [
        roundScore(scores.Bleu_1),
        roundScore(scores.Bleu_2),
        roundScore(scores.Bleu_3),
        roundScore(scores.Bleu_4),
      ],
      rougeL: roundScore(scores.ROUGE_L),
      cider: roundScore(scores.CIDEr),
      novelty,
      colorAccuracy: colors.judged === 0 ? null : colors.accuracy,
    };
  }
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** The first records of as many distinct pictures, in the split's order. */
async function firstPictures(split: Split, count: number): Promise<Picture[]> {
  const pictures = new Map<number, Picture>();
  for (let i = 0; i < split.count && pictures.size < count; i++) {
    const record = split.record(i);
    const { imageId } = decodeCaptionIds(await readRecord(split, record));
    if (!pictures.has(imageId)) pictures.set(imageId, { imageId, record });
  }
  return [...pictures.values()];
}

/** What people said of each picture: from COCO's annotations where the folder has them, else from the records. */
async function readReferences(
  split: Split,
  pictures: readonly Picture[],
  { vocabulary }: Dataset,
): Promise<ReadonlyMap<number, readonly Reference[]>> {
  const references = new Map<number, Reference[]>(pictures.map(({ imageId }) => [imageId, []]));
  const add = (imageId: number, text: string): void =>
    void references.get(imageId)?.push({ text, tokens: tokenizeCaption(text) });
  if (split.captionsFile !== null) {
    const { annotations } = JSON.parse(await readFile(split.captionsFile, 'utf8')) as CaptionAnnotations;
    for (const { image_id, caption } of annotations) add(image_id, caption);
  } else if (pictures.length > 0) {
    for (let i = 0; i < split.count; i++) {
      const { imageId, ids } = decodeCaptionIds(await readRecord(split, split.record(i)));
      const words = Array.from(ids.subarray(1, -1), (id) => vocabulary.word(id));
      add(imageId, words.join(' '));
    }
  }
  return references;
}

async function readTrainingCaptions(dataset: Dataset): Promise<ReadonlySet<string>> {
  const { captionsFile } = dataset.split('train');
  if (captionsFile === null) return new Set();
  const { annotations } = JSON.parse(await readFile(captionsFile, 'utf8')) as CaptionAnnotations;
  return new Set(annotations.map(({ caption }) => captionKey(tokenizeCaption(caption))));
}

/** Entropy of the training captions' words: the loss of a model that knows nothing but how common each word is. */
export async function unigramLoss(dataset: Dataset): Promise<number> {
  const text = await readFile(join(dataset.directory, dataset.manifest.vocabulary.file), 'utf8');
  const counts: number[] = [];
  for (const line of text.trimEnd().split('\n')) {
    const space = line.lastIndexOf(' ');
    // <S> is read, never said.
    if (line.slice(0, space) !== '<S>') counts.push(Number(line.slice(space + 1)));
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.reduce((sum, count) => (count === 0 ? sum : sum - (count / total) * exactLog(count / total)), 0);
}
