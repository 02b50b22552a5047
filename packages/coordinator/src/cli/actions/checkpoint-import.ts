import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { EncoderName } from '@showtell/shared/model/parameters.js';
import { importCheckpoint, type PlannedImport, planImport } from '../../checkpoints/import/import-checkpoint.js';
import { mappingLines, mappingReport } from '../../checkpoints/import/mapping-report.js';

export interface ImportFlags {
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

/** `showtell checkpoint import`. */
export async function importFrom(file: string, flags: ImportFlags): Promise<void> {
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
