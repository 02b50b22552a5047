import type { Vocabulary } from '@showtell/shared/data/vocabulary.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Logger } from '@showtell/shared/service/log.js';
import type { Tracing } from '@showtell/shared/service/tracing.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import type { Engine } from './engine/engine.js';
import type { Prefetcher } from './input/prefetch.js';
import type { InputRules } from './input/prepare-unit.js';
import type { WorkerMetrics } from './metrics.js';

/** What a worker process opens once, and every membership of a run uses. */
export interface WorkerParts {
  readonly id: string;
  readonly job: Job;
  readonly layout: ParameterLayout;
  readonly vocabulary: Vocabulary;
  readonly rules: InputRules;
  readonly engine: Engine;
  readonly input: Prefetcher;
  readonly metrics: WorkerMetrics;
  readonly log: Logger;
  readonly tracing: Tracing;
}
