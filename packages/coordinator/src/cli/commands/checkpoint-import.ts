import { type Command, InvalidArgumentError, Option } from 'commander';
import { phaseNames, type PhaseName } from '@showtell/shared/job/phases.js';
import { type EncoderName, encoders } from '@showtell/shared/model/parameters.js';
import { importCheckpoint, type PlannedImport, planImport } from '../../checkpoints/import/import-checkpoint.js';
import { mappingLines, mappingReport } from '../../checkpoints/import/mapping-report.js';
import { integerFrom } from '../data-options.js';

interface ImportFlags {
  readonly encoder: EncoderName;
  readonly vocabulary: string;
  readonly out: string;
  readonly depthMultiplier?: number;
  readonly imageSize?: number;
  readonly step?: number;
  readonly phase: PhaseName;
  readonly set?: readonly string[];
  readonly leaveOutUnknown?: true;
  readonly json?: true;
}

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
      const options = {
        path: file,
        encoder: flags.encoder,
        vocabulary: flags.vocabulary,
        out: flags.out,
        depthMultiplier: flags.depthMultiplier ?? null,
        imageSize: flags.imageSize ?? null,
        step: flags.step ?? null,
        phase: flags.phase,
        set: flags.set ?? [],
        leaveOutUnknown: flags.leaveOutUnknown === true,
      };
      const plan = await planImport(options);
      // The report comes first: it is needed most where the import is refused.
      process.stdout.write(flags.json === true ? jsonReport(plan, flags.out) : textReport(plan));
      const { parameters } = (await importCheckpoint(options, plan)).manifest;
      if (flags.json !== true)
        process.stdout.write(`${flags.out}: ${parameters.count} values, sha256 ${parameters.sha256}\n`);
    });
}

function jsonReport(plan: PlannedImport, out: string): string {
  const { source, job, step, encoderOnly, mapping, vocabulary } = plan;
  const { model } = job;
  const words = { size: vocabulary.size, sha256: vocabulary.sha256 };
  const about = { source: source.path, format: source.format, out, step, encoderOnly, model, vocabulary: words };
  return `${JSON.stringify({ ...about, ...mappingReport(mapping) })}\n`;
}

function textReport({ source, job, step, encoderOnly, mapping, vocabulary }: PlannedImport): string {
  const { encoder, decoder } = job.model;
  const lines = [
    `${source.path}: ${source.format}, ${source.variables.length} variables`,
    ...mappingLines(mappingReport(mapping)),
    `encoder    ${encoder.name}, depth multiplier ${encoder.depthMultiplier}, ${encoder.imageSize} pixels`,
    encoderOnly
      ? 'decoder    none in the file: it has first values'
      : `decoder    embedding ${decoder.embedding}, ${decoder.units} units, ${decoder.vocabulary} rows for ${vocabulary.size} words, step ${step}`,
  ];
  return `${lines.join('\n')}\n`;
}

function positive(text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return number;
}
