import { resolve } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { readResults, tokenizeResults } from '../../evaluation/coco-results.js';
import type { ImageId } from '../../evaluation/coco-schemas.js';
import { ensureMeteor } from '../../evaluation/meteor-files.js';
import { captionScores, type CaptionScores, type SetScores } from '../../evaluation/scores/caption-scores.js';
import { meteor, type MeteorScores } from '../../evaluation/scores/meteor.js';
import type { ScoredCaption } from '../../evaluation/scores/number-tokens.js';
import { NewFile } from '../../new-file.js';

export interface EvaluateOptions {
  readonly annotations: string;
  readonly results: string;
  readonly partial?: true;
  /** Undefined: where there is Java. */
  readonly meteor?: boolean;
  readonly perImage?: true | string;
  readonly writeResults?: string;
  readonly json?: true;
}

/** `showtell evaluate`. */
export async function evaluate(options: EvaluateOptions): Promise<void> {
  const { annotations, results, partial = false } = options;
  const imagesFile = typeof options.perImage === 'string' ? options.perImage : undefined;
  if (imagesFile !== undefined && options.writeResults !== undefined) refuseOneFile(imagesFile, options.writeResults);
  await using imagesOut = imagesFile === undefined ? null : await NewFile.open(imagesFile);
  await using resultsOut = options.writeResults === undefined ? null : await NewFile.open(options.writeResults);

  const captions = await readResults({ annotations, results, partial });
  const tokenized = tokenizeResults(captions);
  const scores = captionScores(tokenized);
  const found = await meteorOf(tokenized, options.meteor);
  const corpus = named(scores.corpus, found.scores?.corpus);
  const images = captions.map(({ imageId }, i) => ({
    image_id: imageId,
    ...named(scores.captions[i] as CaptionScores, found.scores?.captions[i]),
  }));
  await imagesOut?.write(toJson(images));
  await resultsOut?.write(toJson(captions.map(({ imageId, caption }) => ({ image_id: imageId, caption }))));
  await imagesOut?.putInPlace();
  await resultsOut?.putInPlace();
  const shown = options.perImage === true ? images : null;
  if (options.json) {
    const absent = found.absent === null ? {} : { absent: { METEOR: found.absent } };
    const evalImgs = shown === null ? {} : { evalImgs: shown };
    process.stdout.write(`${JSON.stringify({ ...corpus, ...absent, ...evalImgs })}\n`);
  } else process.stdout.write(table(captions.length, corpus, found.absent) + (shown === null ? '' : imageTable(shown)));
}

type AllScores = CaptionScores & { readonly METEOR?: number };

/** In coco-caption's order. */
function named({ ROUGE_L, CIDEr, ...bleus }: SetScores['corpus'], meteor: number | undefined): AllScores {
  return { ...bleus, ...(meteor === undefined ? {} : { METEOR: meteor }), ROUGE_L, CIDEr };
}

/** @param wanted whether METEOR must be had, may be left out (undefined) or is left out. */
async function meteorOf(
  captions: readonly ScoredCaption[],
  wanted: boolean | undefined,
): Promise<{ scores: MeteorScores | null; absent: string | null }> {
  if (wanted === false) return { scores: null, absent: 'left out by --no-meteor' };
  let program;
  try {
    program = await ensureMeteor(lineProgress());
  } catch (error) {
    if (wanted === true || !(error instanceof ShowtellError)) throw error;
    return { scores: null, absent: `${error.message} ${error.remedy}` };
  }
  return { scores: await meteor(program, captions), absent: null };
}

function refuseOneFile(perImage: string, writeResults: string): void {
  if (resolve(perImage) !== resolve(writeResults)) return;
  const detail = `--per-image and --write-results both name ${perImage}`;
  throw new ShowtellError('usage/invalid', { detail, command: 'evaluate' });
}

function toJson(content: unknown): string {
  return `${JSON.stringify(content, null, 1)}\n`;
}

function table(images: number, scores: AllScores, absent: string | null): string {
  const lines = Object.entries(scores).map(([name, score]) => `  ${name.padEnd(8)} ${(score as number).toFixed(4)}`);
  if (absent !== null) lines.push(`  METEOR: absent: ${absent}`);
  return `${images} ${images === 1 ? 'image' : 'images'}\n${lines.join('\n')}\n`;
}

function imageTable(images: readonly (AllScores & { readonly image_id: ImageId })[]): string {
  const names = Object.keys(images[0] ?? {});
  const rows = images.map((image) =>
    Object.values(image).map((value, i) => (i === 0 ? String(value) : (value as number).toFixed(4))),
  );
  const first = Math.max(...rows.map(([id = '']) => id.length), 'image_id'.length);
  const lines = [names, ...rows].map((cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(first) : cell.padStart(7))).join('  '),
  );
  return `\n${lines.join('\n')}\n`;
}
