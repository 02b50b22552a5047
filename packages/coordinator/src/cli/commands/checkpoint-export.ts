import { type Command, Option } from 'commander';
import { type ExportFormat, exporters } from '../../checkpoints/export/exporters.js';
import { type LstmNaming, lstmNamings } from '../../checkpoints/tensorflow/names.js';

interface ExportFlags {
  readonly format: ExportFormat;
  readonly out: string;
  readonly lstmNames: LstmNaming;
  readonly vocabulary?: string;
  readonly json?: true;
}

export function register(parent: Command): void {
  const formats = Object.entries(exporters).map(([name, { about }]) => `  ${name.padEnd(12)} ${about}`);
  parent
    .command('export')
    .description('write a checkpoint for others: TensorFlow, a SavedModel to serve, safetensors')
    .argument('<checkpoint>', "RUN for its newest, RUN@STEP, RUN@best, or a checkpoint's folder")
    .addOption(new Option('--format <format>', 'see below').choices(Object.keys(exporters)).makeOptionMandatory())
    .requiredOption('--out <path>', 'the file or folder to make')
    .addOption(
      new Option(
        '--lstm-names <naming>',
        "the LSTM's variables: kernel from TensorFlow 1.2 on, weights 1.0, Matrix before",
      )
        .choices(Object.keys(lstmNamings))
        .default('kernel'),
    )
    .option('--vocabulary <file>', 'its word_counts.txt, where it is neither beside it nor in its run or data')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
${formats.join('\n')}

Every byte of the checkpoint is checked first. The optimizer's state is not exported.

Exit codes: 0, 65 the checkpoint is damaged, 66 it or its words are not there, 73 --out is there already or cannot be written.

Examples:
  showtell checkpoint export runs/demo --format tensorflow --out exported
  showtell checkpoint export runs/demo --format saved-model --out served/1
  showtell checkpoint export runs/demo@900 --format safetensors --out demo.safetensors`,
    )
    .action(async (location: string, { format, out, lstmNames, vocabulary, json }: ExportFlags) => {
      const { openCheckpoint } = await import('../../checkpoints/open-checkpoint.js');
      const { locateCheckpoint } = await import('../checkpoint-location.js');
      const checkpoint = await openCheckpoint(locateCheckpoint(location));
      const done = await exporters[format].write({ checkpoint, out, lstmNames, vocabulary: vocabulary ?? null });
      if (json === true)
        process.stdout.write(`${JSON.stringify({ format, step: checkpoint.manifest.step, ...done })}\n`);
      else
        process.stdout.write(`${done.path}: ${done.tensors} tensors, ${done.bytes} bytes; ${done.files.join(', ')}\n`);
    });
}
