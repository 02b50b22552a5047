import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { type EngineAsked, onEngine, parseEngine } from './caption/engine-asked.js';
import { loadCheckpoint } from './caption/load-checkpoint.js';
import { endProcess } from './end-process.js';
import { chooseEngine, prepareEngine } from './engine/choose-engine.js';
import { EngineThread } from './engine/engine-thread.js';
import { openDecoderFor } from './input/image-decoder.js';
import { inputRulesOf } from './input/input-rules.js';
import { drawImage } from './input/prepare-unit.js';
import { endWithParent } from './parent.js';
import { readPairs } from './perplexity/read-pairs.js';
import { recordFiles } from './perplexity/record-files.js';
import { sumLosses, type LossSums } from './perplexity/sum-losses.js';

interface PerplexityOptions {
  readonly checkpoint: string;
  readonly records: readonly string[];
  readonly vocabulary: string | null;
  readonly json: boolean;
  readonly engine: EngineAsked | null;
  /** Tells on standard error how far it has come, for a terminal. */
  readonly progress: boolean;
}

/**
 * The process behind `showtell perplexity`: im2txt's evaluate.py, exp of the mean loss a word over TFRecords that im2txt
 * wrote. Every record is read and checked before the first is computed.
 */
async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  const files = recordFiles(options.records);
  const model = await onEngine(await loadCheckpoint(options.checkpoint, options.vocabulary), options.engine);
  const { job, vocabulary, parameters } = model;
  const words = { vocabulary, rows: job.model.decoder.vocabulary };
  let sequences = 0;
  let longest = 0;
  for await (const { ids } of readPairs(files, words)) {
    sequences++;
    longest = Math.max(longest, ids.length - 1);
  }
  if (sequences === 0)
    throw new ShowtellError('perplexity/no-records', { detail: `There is no record in ${files.join(', ')}.` });

  const choice = chooseEngine(job);
  prepareEngine(choice);
  const engine = await EngineThread.open(choice.name, choice.options);
  // The addon does not outlive a process.exit under it: its thread ends first, whatever happens.
  await using _engine = { [Symbol.asyncDispose]: () => engine.close() };
  await engine.setParameters(parameters, { decoder: 0, embedding: 0, encoder: 0, statistics: 0 });
  const rules = inputRulesOf(job, vocabulary.unkId);
  const tools = { rules, decoder: await openDecoderFor(job.engine) };
  const sums = await sumLosses(readPairs(files, words), {
    engine,
    draw: (jpeg, where) => drawImage(jpeg, where, null, 0, tools),
    captions: { ...rules.captions, lengths: lengthsFor(rules.captions.lengths, longest) },
    batch: job.evaluation.unitExamples,
    onProgress: (done) => {
      if (options.progress) process.stderr.write(`\r${done} of ${sequences}${done === sequences ? '\n' : ''}`);
    },
  });
  process.stdout.write(options.json ? jsonLine(sums) : plainLine(sums));
  return 0;
}

/** Lengths to pad to, with further ones where a caption is longer than the job's last: none is cut, as in im2txt. */
function lengthsFor(lengths: readonly number[], longest: number): number[] {
  const all = [...lengths];
  for (let last = all.at(-1) ?? 1; last < longest; all.push(last)) last *= 2;
  return all;
}

function perplexityOf({ lossSum, words }: LossSums): number {
  return Math.exp(lossSum / words);
}

function jsonLine(sums: LossSums): string {
  const { words, sequences } = sums;
  return `${JSON.stringify({ perplexity: perplexityOf(sums), words, sequences })}\n`;
}

function plainLine(sums: LossSums): string {
  return `perplexity ${perplexityOf(sums).toFixed(4)}, ${sums.words} words of ${sums.sequences} captions\n`;
}

function parseOptions(argv: readonly string[]): PerplexityOptions {
  const invalid = (detail: string): ShowtellError =>
    new ShowtellError('usage/invalid', { detail, command: 'perplexity' });
  let parsed;
  try {
    parsed = parseArgs({
      args: [...argv],
      options: {
        checkpoint: { type: 'string' },
        records: { type: 'string', multiple: true },
        vocabulary: { type: 'string' },
        json: { type: 'boolean' },
        engine: { type: 'string' },
        progress: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
  const { checkpoint, records = [], vocabulary = null, json = false, progress = false } = parsed.values;
  const engine = parsed.values.engine === undefined ? null : parseEngine(parsed.values.engine, 'perplexity');
  if (checkpoint === undefined) throw invalid('--checkpoint is missing');
  if (records.length === 0) throw invalid('--records is missing');
  return { checkpoint, records, vocabulary, json, engine, progress };
}

endWithParent();
endProcess('showtell perplexity', main(process.argv.slice(2)));
