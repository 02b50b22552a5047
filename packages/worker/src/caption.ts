import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { loadCheckpoint, type CaptionModel } from './caption/load-checkpoint.js';
import { chooseEngine, prepareEngine } from './engine/choose-engine.js';
import { EngineThread } from './engine/engine-thread.js';
import { openImageDecoder } from './input/decode-image.js';
import { inputRulesOf } from './input/input-rules.js';
import { drawImage } from './input/prepare-unit.js';
import { captionFeatures } from './units/evaluate-unit.js';

interface CaptionOptions {
  readonly checkpoint: string;
  readonly beam: number | null;
  readonly vocabulary: string | null;
  readonly json: boolean;
  readonly images: readonly string[];
}

/** The process behind `showtell caption`. @returns the exit code: 65 or 66 when pictures were undecodable or missing */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  const model = await loadCheckpoint(options.checkpoint, options.vocabulary);
  const beam = options.beam ?? model.job.evaluation.beam;
  const job = { ...model.job, evaluation: { ...model.job.evaluation, beam } };
  const choice = chooseEngine(job);
  prepareEngine(choice.options);
  const engine = await EngineThread.open(choice.name, choice.options);
  // The addon does not outlive a process.exit under it: its thread ends first, whatever happens.
  await using _engine = { [Symbol.asyncDispose]: () => engine.close() };
  await engine.setParameters(model.parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
  let exitCode = 0;
  const drawn = openPictures({ ...model, job });
  for (const image of options.images) {
    try {
      const features = await engine.features(drawn(image), 1);
      const { maxLength, lengthNormalization } = job.evaluation;
      const how = { vocabulary: model.vocabulary, width: beam, maxLength, lengthNormalization };
      const [captions = []] = await captionFeatures(engine, features, 1, how);
      process.stdout.write(options.json ? jsonLine(image, captions) : plainLines(image, captions));
    } catch (error) {
      if (!(error instanceof ShowtellError)) throw error;
      exitCode = error.exitCode;
      process.stderr.write(`showtell caption: ${error.message}\n${error.remedy}\n`);
    }
  }
  return exitCode;
}

/** Pictures as evaluation sees them, by their files. @throws ShowtellError `file/missing`, `input/picture-undecodable` */
function openPictures({ job, vocabulary }: CaptionModel): (file: string) => Float32Array {
  const tools = { rules: inputRulesOf(job, vocabulary.unkId), decoder: openImageDecoder(job.engine.device) };
  return (file) => {
    if (!existsSync(file)) throw new ShowtellError('file/missing', { file, what: 'The picture' });
    return drawImage(readFileSync(file), file, null, 0, tools);
  };
}

function jsonLine(image: string, captions: readonly ScoredCaption[]): string {
  const plain = captions.map(({ caption, logProbability }) => ({ caption, logprob: logProbability }));
  return `${JSON.stringify({ image, captions: plain })}\n`;
}

function plainLines(image: string, captions: readonly ScoredCaption[]): string {
  const lines = captions.map(({ caption, logProbability }) => `  ${caption}  (${logProbability.toFixed(2)})`);
  return `${image}\n${lines.join('\n')}\n`;
}

function parseOptions(argv: readonly string[]): CaptionOptions {
  const invalid = (detail: string): ShowtellError => new ShowtellError('usage/invalid', { detail, command: 'caption' });
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        checkpoint: { type: 'string' },
        beam: { type: 'string' },
        vocabulary: { type: 'string' },
        json: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
  const { values, positionals: images } = parsed;
  if (values.checkpoint === undefined) throw invalid('--checkpoint is missing');
  if (images.length === 0) throw invalid('no picture was named');
  const beam = values.beam === undefined ? null : Number(values.beam);
  if (beam !== null && (!Number.isInteger(beam) || beam < 1 || beam > 32))
    throw invalid(`--beam ${values.beam ?? ''} is no whole number from 1 to 32`);
  return {
    checkpoint: values.checkpoint,
    beam,
    vocabulary: values.vocabulary ?? null,
    json: values.json === true,
    images,
  };
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    if (error instanceof ShowtellError) process.stderr.write(`showtell caption: ${error.message}\n${error.remedy}\n`);
    else
      process.stderr.write(
        `showtell caption: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
      );
    process.exit(error instanceof ShowtellError ? error.exitCode : 70);
  },
);
