import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { readVocabulary } from '@showtell/shared/data/vocabulary.js';
import type { Job, JobInput } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { parametersOf, type ParameterSpec } from '@showtell/shared/model/parameters.js';
import {
  allocateSegments,
  layOut,
  type ParameterLayout,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { parameter } from './formula.js';

/** The sizes that generate.py states. */
export interface Shape {
  readonly size: number;
  readonly multiplier: number;
  readonly E: number;
  readonly U: number;
  readonly V: number;
}

export const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** The job of im2txt's model at these sizes; all else is im2txt's default. */
export function jobOf({ size, multiplier, E, U, V }: Shape, more: JobInput = {}): Job {
  const model = {
    encoder: { depthMultiplier: multiplier, imageSize: size },
    decoder: { embedding: E, units: U, vocabulary: V },
  };
  return parseJob({ ...more, model, engine: { threads: 1 } });
}

/** The parameters that generate.py gives the model. */
export function formulaParameters(job: Job): {
  readonly specs: readonly ParameterSpec[];
  readonly layout: ParameterLayout;
  readonly parameters: Segments;
} {
  const specs = parametersOf(job.model);
  const layout = layOut(specs);
  const parameters = allocateSegments(layout);
  for (const entry of layout.entries) tensorView(parameters, entry).set(parameter(entry.name, entry.shape));
  return { specs, layout, parameters };
}

/** Writes the model as a checkpoint of a run in `run`, with its words. @returns the checkpoint's folder */
export async function writeFormulaCheckpoint(run: string, job: Job): Promise<string> {
  const { layout, parameters } = formulaParameters(job);
  mkdirSync(run, { recursive: true });
  copyFileSync(here('word_counts.txt'), join(run, 'word_counts.txt'));
  await using store = CheckpointStore.open(join(run, 'checkpoints'));
  const zeros = '0'.repeat(64);
  const about = {
    run: 'parity',
    step: 1,
    phase: 'decoder-only' as const,
    switchedAt: null,
    phaseHistory: [],
    lineage: 1,
    generation: 1,
    examples: 32,
    job,
    jobSha256: zeros,
    datasetDigest: zeros,
    vocabularySha256: (await readVocabulary(here('word_counts.txt'))).sha256,
    canaries: {},
    metrics: {},
  };
  const { path } = await store.save({ about, layout, parameters, optimizer: null });
  return path;
}
