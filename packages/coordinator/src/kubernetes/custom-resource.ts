import { z } from 'zod';
import type { Manifest } from './manifest.js';
import { apiVersion, trainingJobSpecSchema } from './training-job.js';

/** A schema as a CustomResourceDefinition takes it: OpenAPI 3.0, structural. */
type Schema = Readonly<Record<string, unknown>>;

const [group = '', version = ''] = apiVersion.split('/');

/** Bounds that zod states for every integer, and that say nothing of the field. */
const anyInteger: readonly unknown[] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

/** Rules over several fields, by the path of the object that has them; the API server refuses what breaks one. */
const rules: Readonly<Record<string, readonly Schema[]>> = {
  'spec.job.batch': [{ rule: 'self.examples % self.units == 0', message: 'examples do not divide into units' }],
  'spec.job.phases': [{ rule: 'self.decoderOnly.steps + self.joint.steps >= 1', message: 'both phases have 0 steps' }],
  'spec.job': [
    {
      rule: 'self.augmentation.resize == 0 || self.augmentation.resize >= self.model.encoder.imageSize',
      message: 'augmentation.resize is smaller than model.encoder.imageSize',
    },
    {
      rule: "self.model.encoder.weights != 'random' || self.model.encoder.allowRandomWeights",
      message: 'model.encoder.weights is random, which allowRandomWeights: false refuses',
    },
  ],
  'spec.storage.data': [{ rule: "self.nats == '' || self.bucket != ''", message: 'nats is given without a bucket' }],
  spec: [
    {
      rule: "(self.job.engine.device == 'cuda') == (self.workers.gpus > 0)",
      message: 'workers.gpus and job.engine.device do not go together',
    },
  ],
};

/**
 * A JSON Schema of zod's as a structural one: unknown fields are the API server's to refuse, and an object in which
 * they are allowed has no properties; `default: null` is the same as none.
 */
function structural(schema: Schema, path: string): Schema {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (key === '$schema' || key === 'propertyNames' || (key === 'default' && value === null)) continue;
    if (key === 'additionalProperties' && typeof value === 'boolean') continue;
    if ((key === 'minimum' || key === 'maximum') && anyInteger.includes(value)) continue;
    if (key === 'properties')
      result[key] = Object.fromEntries(
        Object.entries(value as Record<string, Schema>).map(([name, field]) => [
          name,
          structural(field, `${path}.${name}`),
        ]),
      );
    else if (key === 'items' || key === 'additionalProperties') result[key] = structural(value as Schema, `${path}[]`);
    else result[key] = value;
  }
  if (result['default'] !== undefined && 'properties' in result) result['default'] = defaultsOf(result);
  if (Object.hasOwn(rules, path)) result['x-kubernetes-validations'] = rules[path];
  return result;
}

/** What a group holds of which nothing is said, whole: rules are checked on a default before its own fields are. */
function defaultsOf({ properties }: Schema): Schema {
  const fields = Object.entries((properties ?? {}) as Record<string, Schema>);
  return Object.fromEntries(fields.flatMap(([name, field]) => ('default' in field ? [[name, field['default']]] : [])));
}

const text = (description: string): Schema => ({ type: 'string', description });
const integer = (description: string): Schema => ({ type: 'integer', description });
const number = (description: string): Schema => ({ type: 'number', description });
const time = (description: string): Schema => ({ type: 'string', format: 'date-time', description });

const status: Schema = {
  type: 'object',
  properties: {
    phase: text('Pending, Running, Suspended, Stopping, Succeeded or Failed.'),
    run: text("The run's name."),
    trainingPhase: text('decoder-only or joint.'),
    step: integer('Steps applied.'),
    totalSteps: integer('Steps after which the job is complete.'),
    loss: number('Of the last step.'),
    bleu4: number('Of the last evaluation with captions.'),
    perplexity: number('Of the last evaluation.'),
    imagesPerSecond: number('Over the last steps.'),
    estimatedEnd: time('When it is done at that speed.'),
    checkpointStep: integer('Of the newest checkpoint.'),
    workers: integer('Workers at work.'),
    selector: text("The workers' labels, for kubectl scale and autoscalers."),
    observedGeneration: integer('Of the spec that this status is about.'),
    startTime: time('When it began, or was last resumed.'),
    completionTime: time('When it ended, for good or ill.'),
    conditions: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
      items: {
        type: 'object',
        required: ['type', 'status', 'reason', 'lastTransitionTime'],
        properties: {
          type: text('Applied, Running, Suspended, Complete or Failed.'),
          status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
          reason: text('For programs.'),
          message: text('For people.'),
          lastTransitionTime: time('When status changed.'),
          observedGeneration: integer('Of the spec that it is about.'),
        },
      },
    },
  },
};

const column = (name: string, type: string, jsonPath: string, priority = 0) => ({ name, type, jsonPath, priority });

/** The CustomResourceDefinition `TrainingJob`, its schema and defaults from the job file's own. */
export function customResourceDefinition(): Manifest {
  const spec = z.toJSONSchema(trainingJobSpecSchema, { io: 'input', target: 'openapi-3.0' }) as Schema;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `trainingjobs.${group}`, labels: { 'app.kubernetes.io/name': 'showtell' } },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind: 'TrainingJob', plural: 'trainingjobs', singular: 'trainingjob', shortNames: ['tj'] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.workers.replicas',
              statusReplicasPath: '.status.workers',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: [
            column('Phase', 'string', '.status.phase'),
            column('Training', 'string', '.status.trainingPhase'),
            column('Step', 'integer', '.status.step'),
            column('Of', 'integer', '.status.totalSteps'),
            column('Loss', 'number', '.status.loss'),
            column('BLEU-4', 'number', '.status.bleu4'),
            column('Images/s', 'number', '.status.imagesPerSecond'),
            column('Workers', 'integer', '.status.workers'),
            column('End', 'string', '.status.estimatedEnd'),
            column('Perplexity', 'number', '.status.perplexity', 1),
            column('Checkpoint', 'integer', '.status.checkpointStep', 1),
            column('Age', 'date', '.metadata.creationTimestamp'),
          ],
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description: 'Trains the Show and Tell captioner: coordinator, NATS and workers for one job file.',
              properties: {
                apiVersion: { type: 'string' },
                kind: { type: 'string' },
                metadata: {
                  type: 'object',
                  properties: { name: { type: 'string', maxLength: 40, pattern: '^[a-z]([a-z0-9-]*[a-z0-9])?$' } },
                },
                spec: structural({ ...spec, default: {} }, 'spec'),
                status,
              },
            },
          },
        },
      ],
    },
  };
}
