import { type Command, InvalidArgumentError, Option } from 'commander';
import { phaseNames } from '@showtell/shared/job/phases.js';
import { encoders } from '@showtell/shared/model/parameters.js';
import type { ImportFlags } from '../actions/checkpoint-import.js';
import { integerFrom } from '../data-options.js';

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function register(parent: Command): void {
  parent
    .command('import')
    .description('make a checkpoint of a TensorFlow one: an im2txt captioner, or an encoder as TF-Slim or Keras has it')
    .argument(
      '<file>',
      'V2 (prefix, .index or .data file), V1, the folder of a "checkpoint" file, safetensors, or a tfjs model.json',
    )
    .addOption(
      new Option('--encoder <name>', "the image encoder, by TF-Slim's name")
        .choices(Object.keys(encoders))
        .makeOptionMandatory(),
    )
    .requiredOption('--vocabulary <file>', "im2txt's word_counts.txt of the captioner, or of the data to train on")
    .requiredOption('--out <dir>', 'the checkpoint folder to make')
    .option('--depth-multiplier <x>', "slim's depth multiplier (default: what the shapes tell)", positive)
    .option('--image-size <pixels>', "side of the encoder's picture (default: the encoder's own)", integerFrom(1))
    .option('--step <n>', "the values' step (default: the file's global_step; 0 for an encoder alone)", integerFrom(0))
    .addOption(
      new Option('--phase <phase>', 'the phase that a run begins with from it')
        .choices(phaseNames)
        .default('decoder-only'),
    )
    .option('--set <field.path=value>', 'a field of the job that the checkpoint states; may be repeated', collect)
    .option('--leave-out-unknown', 'leave out variables that no part of im2txt or TF-Slim is known to have')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
The report has a line for each variable: matched, with its name in the file where that is another; missing; unfit; left
over, and why (optimizer, step, classifier head, moving average of a weight …). It is printed whether the import
succeeds or not, and kept as import.json in the folder. float16, bfloat16 and float64 become float32; partitioned
variables are put together. All of the encoder must be there, and all of the decoder or nothing of it: then the decoder
has first values, and "train --from DIR" or model.encoder.weights in a job take the encoder.

Exit codes: 0, 65 the file is damaged, no checkpoint, or of another model, 66 it is not there, 73 --out is there already or
cannot be written.

Examples:
  showtell checkpoint import train/model.ckpt-1000000 --encoder inception_v3 --vocabulary word_counts.txt --out im2txt
  showtell checkpoint import inception_v3.ckpt --encoder inception_v3 --vocabulary data/word_counts.txt --out encoder
  showtell checkpoint import model.json --encoder inception_v3 --vocabulary data/word_counts.txt --out encoder`,
    )
    .action(async (file: string, flags: ImportFlags) => {
      const { importFrom } = await import('../actions/checkpoint-import.js');
      await importFrom(file, flags);
    });
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return number;
}
