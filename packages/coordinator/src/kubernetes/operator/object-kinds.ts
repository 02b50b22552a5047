import type { Kind } from '../cluster/resources.js';

/** Kinds that a job's objects are of. */
export const objectKinds = [
  'ConfigMap',
  'Service',
  'ServiceAccount',
  'StatefulSet',
  'Job',
  'NetworkPolicy',
  'PodDisruptionBudget',
] as const satisfies readonly Kind[];
