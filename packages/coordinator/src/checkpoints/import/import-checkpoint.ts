import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { readVocabulary, type Vocabulary } from '@showtell/shared/data/vocabulary.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import { type EncoderName, encoders } from '@showtell/shared/model/parameters.js';
import { allocateSegments, type Segments, sizeOf, tensorView } from '@showtell/shared/tensors/layout.js';
import { firstValues, modelParameters, type ModelParameters } from '../../model-parameters.js';
import type { ManifestContent } from '../manifest.js';
import { openWeights } from '../open-weights.js';
import { globalStep, ownName } from '../tensorflow/names.js';
import type { VariableSource } from '../variable-source.js';
import { vocabularyFile, writeNewCheckpoint } from '../write-checkpoint.js';
import { deriveModel, type DerivedModel } from './derive-model.js';
import { type Mapping, mapVariables, problemsOf } from './mapping.js';
import { mappingReport, type MappingReport } from './mapping-report.js';

export interface ImportOptions {
  /** As {@link openWeights} takes it. */
  readonly path: string;
  readonly encoder: EncoderName;
  readonly vocabulary: string;
  /** The checkpoint's folder, which must not be there yet. */
  readonly out: string;
  /** null: from the shapes. */
  readonly depthMultiplier: number | null;
  /** Pixels; null: the encoder's native size. */
  readonly imageSize: number | null;
  /** Of the values; null: the file's global_step, 0 for an encoder alone. */
  readonly step: number | null;
  readonly phase: PhaseName;
  /** Fields of the job that the checkpoint states, `field.path=value`, over what is derived. */
  readonly set: readonly string[];
  readonly leaveOutUnknown: boolean;
}

/** What an import is going to do: nothing is written yet. */
export interface PlannedImport {
  readonly source: VariableSource;
  readonly job: Job;
  readonly step: number;
  readonly mapping: Mapping;
  /** The file has no decoder: it keeps its first values. */
  readonly encoderOnly: boolean;
  readonly parameters: ModelParameters;
  readonly vocabulary: Vocabulary;
}

/** Kept in the folder: what came from where. */
export const importReportFile = 'import.json';

/** im2txt's picture before the crop, in pixels. */
const usualResize = 346;

/** The largest whole number up to which float32 has every one. */
const exactSteps = 16_777_216;

/**
 * Reads what is needed to say how a file becomes a checkpoint.
 * @throws ShowtellError `checkpoint/exists`, `file/missing`, `data/vocabulary-unreadable`, `job/…`, and as {@link openWeights}
 */
export async function planImport(options: ImportOptions): Promise<PlannedImport> {
  const { path, encoder: name, out } = options;
  if (existsSync(out)) throw new ShowtellError('checkpoint/exists', { path: out });
  const vocabulary = await readVocabulary(options.vocabulary);
  const source = openWeights(path, { name, depthMultiplier: options.depthMultiplier ?? 1 });
  const derived = deriveModel(source, name, options.depthMultiplier);
  const job = jobOf(options, derived, vocabulary, source);
  const rows = job.model.decoder.vocabulary;
  if (vocabulary.size > rows) {
    const facts = { file: options.vocabulary, words: vocabulary.size, path, rows };
    throw new ShowtellError('checkpoint/vocabulary-too-large', facts);
  }
  const parameters = modelParameters(job);
  const encoderOnly = derived.decoder === null;
  const wanted = parameters.specs.filter(({ group }) => !encoderOnly || group === 'encoder' || group === 'statistics');
  const step = options.step ?? (encoderOnly ? 0 : stepOf(source));
  return { source, job, step, mapping: mapVariables(source, wanted), encoderOnly, parameters, vocabulary };
}

function jobOf(
  { encoder: name, imageSize, set, path }: ImportOptions,
  derived: DerivedModel,
  words: Vocabulary,
  { batchNormEpsilon }: VariableSource,
): Job {
  const { nativeSize } = encoders[name];
  const side = imageSize ?? nativeSize;
  const content = {
    name: 'imported',
    model: {
      encoder: {
        name,
        ...derived.encoder,
        imageSize: side,
        ...(batchNormEpsilon === undefined ? {} : { batchNormEpsilon }),
      },
      // The decoder of an encoder alone is im2txt's, with rows for the words that there are.
      decoder: derived.decoder ?? { vocabulary: Math.max(12_000, words.size) },
    },
    augmentation: { resize: Math.max(usualResize, side) },
  };
  return parseJob(content, set, `the job of ${path}`);
}

function stepOf(source: VariableSource): number {
  const variable = source.variables.find(
    ({ name, shape, numeric }) => ownName(name) === globalStep && sizeOf(shape) === 1 && numeric,
  );
  if (variable === undefined) return 0;
  const value = new Float32Array(1);
  variable.read(value);
  const [step = 0] = value;
  if (Number.isInteger(step) && step >= 0 && step < exactSteps) return step;
  const detail = `${source.path} has the ${globalStep} ${step}: give the step by --step.`;
  throw new ShowtellError('usage/invalid', { detail, command: 'checkpoint import' });
}

/** What an import did. */
export interface Imported {
  readonly manifest: ManifestContent;
  readonly report: MappingReport;
}

/**
 * Writes the checkpoint's folder, whole or not at all.
 * @throws ShowtellError `checkpoint/does-not-fit`, `checkpoint/unknown-variables`, `tensorflow/malformed`,
 * `tensors/malformed`, `tfjs/malformed`, `file/unwritable`
 */
export async function importCheckpoint(options: ImportOptions, plan: PlannedImport): Promise<Imported> {
  const { job, mapping, step, vocabulary, parameters } = plan;
  refuseUnfit(options, plan);
  const values = readValues(plan);
  const report = mappingReport(mapping);
  const named = parameters.layout.entries.map((entry) => ({ ...entry, values: tensorView(values, entry) }));
  const out = resolve(options.out);
  const joint = { phase: 'joint', fromStep: step } as const;
  const about = { source: options.path, format: plan.source.format, step, encoderOnly: plan.encoderOnly, ...report };
  const manifest = writeNewCheckpoint({
    directory: dirname(out),
    name: basename(out),
    about: {
      run: 'imported',
      step,
      phase: options.phase,
      switchedAt: options.phase === 'joint' ? step : null,
      phaseHistory: [{ phase: 'decoder-only', fromStep: 0 }, ...(options.phase === 'joint' ? [joint] : [])],
      lineage: 1,
      generation: 0,
      examples: 0,
      job,
      jobSha256: jobDigest(job, null),
      datasetDigest: '',
      vocabularySha256: vocabulary.sha256,
      canaries: {},
      metrics: {},
    },
    savedAt: new Date().toISOString(),
    parameters: named,
    optimizer: [],
    pinned: false,
    beside: {
      [vocabularyFile]: await readFile(options.vocabulary),
      [importReportFile]: Buffer.from(`${JSON.stringify(about, null, 1)}\n`),
    },
  });
  return { manifest, report };
}

/** Problems that a message names; the report has them all. */
const mostNamed = 12;

function refuseUnfit({ path, encoder, leaveOutUnknown }: ImportOptions, { job, mapping }: PlannedImport): void {
  const problems = problemsOf(mapping);
  const { scope } = encoders[encoder];
  const found = [...mapping.matched, ...mapping.unfit, ...mapping.leftOver].map(
    ({ stored }) => (stored.own ?? stored.name).split('/')[0],
  );
  if (!found.includes(scope)) {
    const others = [...new Set(found)].filter((name) => name?.startsWith('Inception'));
    problems.unshift(
      `nothing of ${scope}/ is there${others.length === 0 ? '' : `, but of ${others.join('/ and ')}/: give that encoder`}`,
    );
  }
  if (problems.length > 0) {
    const model = `${encoder} with depth multiplier ${job.model.encoder.depthMultiplier}`;
    throw new ShowtellError('checkpoint/does-not-fit', { path, model, problems: shortened(problems) });
  }
  const unknown = mapping.leftOver.filter(({ reason }) => reason === 'unknown').map(({ stored }) => stored.name);
  if (unknown.length > 0 && !leaveOutUnknown)
    throw new ShowtellError('checkpoint/unknown-variables', { path, variables: shortened(unknown) });
}

function shortened(lines: readonly string[]): string[] {
  if (lines.length <= mostNamed) return [...lines];
  return [...lines.slice(0, mostNamed), `and ${lines.length - mostNamed} more`];
}

/** What the file has; a decoder's first values where it has none. @throws ShowtellError `checkpoint/does-not-fit` */
function readValues({ source, job, mapping, parameters, encoderOnly }: PlannedImport): Segments {
  const { model } = job;
  const random = { ...job, model: { ...model, encoder: { ...model.encoder, weights: 'random' } } };
  const values = encoderOnly ? firstValues(random, parameters) : allocateSegments(parameters.layout);
  const problems: string[] = [];
  for (const { name, stored } of mapping.matched) {
    const view = tensorView(values, parameters.layout.entry(name));
    stored.read(view);
    if (!view.every(Number.isFinite)) problems.push(`${name} has values that are not finite as float32`);
  }
  if (problems.length > 0)
    throw new ShowtellError('checkpoint/does-not-fit', {
      path: source.path,
      model: 'a model that can be used',
      problems: shortened(problems),
    });
  return values;
}
