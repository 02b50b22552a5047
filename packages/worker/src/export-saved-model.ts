import { closeSync, copyFileSync, fsyncSync, mkdirSync, openSync, writevSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { loadCheckpoint } from './caption/load-checkpoint.js';
import { endProcess } from './end-process.js';
import { encodeSavedModel } from './engine/tensorflow/saved-model.js';
import { captionerGraph } from './export/captioner-graph.js';
import { endWithParent } from './parent.js';

/** Chunks handed to the system at once; it takes 1,024. */
const chunksAtOnce = 512;

/**
 * The process behind `showtell checkpoint export --format saved-model`: writes into a folder that whoever starts it makes
 * and puts in its place. Prints what it wrote as a line of JSON: `files`, `bytes` and number of `tensors`.
 */
async function main(argv: readonly string[]): Promise<number> {
  const { checkpoint, words, into } = parseOptions(argv);
  const model = await loadCheckpoint(checkpoint, words);
  const { nodes, signatures } = captionerGraph(model.job, model.parameters);
  mkdirSync(join(into, 'variables'));
  mkdirSync(join(into, 'assets.extra'));
  writeSynced(join(into, 'saved_model.pb'), encodeSavedModel({ nodes }, signatures));
  const wordFile = join('assets.extra', 'word_counts.txt');
  copyFileSync(words, join(into, wordFile));
  const tensors = nodes.filter(({ value }) => value instanceof Float32Array && value.length > 1);
  const bytes = tensors.reduce((sum, { value }) => sum + (value?.byteLength ?? 0), 0);
  const files = ['saved_model.pb', wordFile];
  process.stdout.write(`${JSON.stringify({ files, bytes, tensors: tensors.length })}\n`);
  return 0;
}

function writeSynced(file: string, chunks: readonly Uint8Array[]): void {
  const descriptor = openSync(file, 'wx');
  try {
    for (let i = 0; i < chunks.length; i += chunksAtOnce) writeWhole(descriptor, chunks.slice(i, i + chunksAtOnce));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The system may take less than it is given. */
function writeWhole(descriptor: number, chunks: readonly Uint8Array[]): void {
  let rest = [...chunks];
  while (rest.length > 0) {
    let written = writevSync(descriptor, rest);
    rest = rest.flatMap((chunk) => {
      const taken = Math.min(written, chunk.length);
      written -= taken;
      return taken === chunk.length ? [] : [chunk.subarray(taken)];
    });
  }
}

function parseOptions(argv: readonly string[]): { checkpoint: string; words: string; into: string } {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({ args: [...argv], options: { checkpoint: text, words: text, into: text } });
  const { checkpoint, words, into } = values;
  if (checkpoint === undefined || words === undefined || into === undefined) {
    const detail = '--checkpoint, --words and --into are needed';
    throw new ShowtellError('usage/invalid', { detail, command: 'checkpoint export' });
  }
  return { checkpoint, words, into };
}

endWithParent();
endProcess('showtell checkpoint export', main(process.argv.slice(2)));
