import type { Job } from '@showtell/shared/job/job.js';
import { initializeParameter } from '@showtell/shared/model/initialize.js';
import { parametersOf, type ParameterSpec } from '@showtell/shared/model/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import {
  allocateSegments,
  layOut,
  tensorView,
  type ParameterLayout,
  type Segments,
} from '@showtell/shared/tensors/layout.js';
import { readSafetensorsHeader, readTensor } from '@showtell/shared/tensors/safetensors.js';

/** A job's parameters: what they are and where they lie. */
export interface ModelParameters {
  readonly specs: readonly ParameterSpec[];
  readonly layout: ParameterLayout;
}

export function modelParameters(job: Job): ModelParameters {
  const specs = parametersOf(job.model);
  return { specs, layout: layOut(specs) };
}

/**
 * The values a run begins with: drawn from the job's seed, the encoder's read from `model.encoder.weights` where that
 * names a file.
 *
 * @throws ShowtellError `model/weights-do-not-fit` naming what the file lacks or has in another shape.
 */
export function firstValues(job: Job, { specs, layout }: ModelParameters): Segments {
  const segments = allocateSegments(layout);
  const { weights, initStddev } = job.model.encoder;
  for (const spec of specs)
    initializeParameter(job.seed, withStddev(spec, initStddev), tensorView(segments, layout.entry(spec.name)));
  if (weights !== 'random') readEncoder(weights, layout, segments);
  return segments;
}

/** The parameter with the job's own deviation, where it is a convolution's weights. */
function withStddev(spec: ParameterSpec, stddev: number | null): ParameterSpec {
  const { group, initializer } = spec;
  if (stddev === null || group !== 'encoder' || initializer.kind === 'zeros') return spec;
  return { ...spec, initializer: { kind: 'truncated-normal', stddev } };
}

function readEncoder(file: string, layout: ParameterLayout, segments: Segments): void {
  const content = readSafetensorsHeader(file);
  const inFile = new Map(content.entries.map((entry) => [entry.name, entry]));
  const problems: string[] = [];
  for (const entry of layout.entries) {
    if (entry.segment !== 'encoder' && entry.segment !== 'statistics') continue;
    const found = inFile.get(entry.name);
    if (found === undefined) problems.push(`${entry.name} is missing`);
    else if (found.shape.join() !== entry.shape.join())
      problems.push(`${entry.name} has shape [${found.shape.join(', ')}] instead of [${entry.shape.join(', ')}]`);
    else readTensor(content, found, tensorView(segments, entry));
  }
  if (problems.length > 0) throw new ShowtellError('model/weights-do-not-fit', { file, problems });
}
