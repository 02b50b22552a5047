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
import { mapVariables, problemsOf } from './checkpoints/import/mapping.js';
import { openWeights } from './checkpoints/open-weights.js';

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
 * @throws ShowtellError `model/weights-do-not-fit` naming what the file lacks or has in another shape; as
 * {@link openWeights} when it is damaged or no weights at all.
 */
export function firstValues(job: Job, { specs, layout }: ModelParameters): Segments {
  const segments = allocateSegments(layout);
  const { encoder } = job.model;
  const { weights, initStddev } = encoder;
  for (const spec of specs)
    initializeParameter(job.seed, withStddev(spec, initStddev), tensorView(segments, layout.entry(spec.name)));
  if (weights !== 'random') readEncoder(weights, encoder, layout, segments);
  return segments;
}

/** The parameter with the job's own deviation, where it is a convolution's weights. */
function withStddev(spec: ParameterSpec, stddev: number | null): ParameterSpec {
  const { group, initializer } = spec;
  if (stddev === null || group !== 'encoder' || initializer.kind === 'zeros') return spec;
  return { ...spec, initializer: { kind: 'truncated-normal', stddev } };
}

function readEncoder(
  path: string,
  encoder: Job['model']['encoder'],
  layout: ParameterLayout,
  segments: Segments,
): void {
  const entries = layout.entries.filter(({ segment }) => segment === 'encoder' || segment === 'statistics');
  const source = openWeights(path, encoder);
  const mapping = mapVariables(source, entries);
  const problems = problemsOf(mapping);
  const { batchNormEpsilon: epsilon = encoder.batchNormEpsilon } = source;
  if (epsilon !== encoder.batchNormEpsilon)
    problems.push(`its batch norms add ${epsilon}, the job's ${encoder.batchNormEpsilon} (batchNormEpsilon)`);
  if (problems.length > 0) throw new ShowtellError('model/weights-do-not-fit', { file: path, problems });
  for (const { name, stored } of mapping.matched) stored.read(tensorView(segments, layout.entry(name)));
}
