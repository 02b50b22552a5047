import { jobSchema } from '@showtell/shared/job/job.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { isTree, merge, parseJob, problemsOf, readYaml, type Tree } from '@showtell/shared/job/load-job.js';
import { version } from '@showtell/shared/version.js';
import { z } from 'zod';
import { natsRelease } from '../local/nats-release.js';

/** The custom resource's group and version. */
export const apiVersion = 'showtell.dev/v1alpha1';

const quantity = () =>
  z
    .string()
    .regex(/^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/, 'a quantity as Kubernetes writes it, such as 500m, 2 or 4Gi');

const resources = (cpu: string, memory: string) =>
  z
    .strictObject({
      cpu: quantity().default(cpu).describe('CPU that a pod asks for; it may take more where there is some.'),
      memory: quantity().default(memory).describe('Memory that a pod asks for, and at which it is ended.'),
    })
    .prefault({});

const toleration = z.strictObject({
  key: z.string().optional().describe('Of the taint; none with operator Exists: every taint.'),
  operator: z.enum(['Exists', 'Equal']).default('Equal').describe('How the taint is compared.'),
  value: z.string().optional().describe('Of the taint, with operator Equal.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('Of the taint; none: every effect.'),
});

const image = (role: string) => `showtell/${role}:${version}`;

/** What a TrainingJob asks for: the job file, and where it runs. `docs/kubernetes.md` tells it to people. */
export const trainingJobSpecSchema = z
  .strictObject({
    job: jobSchema.prefault({}).describe('The job file, as docs/job.md has it; presets are for files only.'),
    workers: z
      .strictObject({
        replicas: z.int().min(0).max(1000).default(2).describe('Workers; may change at any time ("kubectl scale").'),
        gpus: z.int().min(0).max(16).default(0).describe('NVIDIA GPUs of each worker; some with engine.device: cuda.'),
        preemptible: z
          .boolean()
          .default(false)
          .describe('Whether workers go to spot nodes where there are any; they may be taken away at any time.'),
        nodeSelector: z.record(z.string(), z.string()).default({}).describe("Labels of the workers' nodes."),
        tolerations: z.array(toleration).max(32).default([]).describe("Taints of the workers' nodes."),
      })
      .prefault({}),
    resources: z
      .strictObject({
        workers: resources('2', '6Gi').describe('Of each worker; its CPU is at least engine.threads.'),
        coordinator: resources('2', '4Gi').describe('Of the coordinator, which is the parameter server too.'),
        shards: resources('1', '4Gi').describe(
          'Of each shard of the parameter server, where job.cluster.parameterShards asks for several.',
        ),
        nats: resources('100m', '512Mi').describe('Of nats-server.'),
      })
      .prefault({}),
    storage: z
      .strictObject({
        data: z
          .strictObject({
            claim: z
              .string()
              .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'lower-case letters, digits, dashes and dots')
              .optional()
              .describe(
                'PersistentVolumeClaim that every pod mounts read-only at /data, with the data folder. None: showtell-data, or with a bucket none.',
              ),
            subPath: z.string().default('').describe('The data folder within the claim; empty: its top.'),
            bucket: z
              .string()
              .regex(/^[A-Za-z0-9_-]{0,128}$/, 'letters, digits, - and _')
              .default('')
              .describe('Bucket of NATS\' object store with the data, put there by "showtell data push"; empty: none.'),
            nats: z
              .string()
              .regex(/^(nats:\/\/[^/]+)?$/, 'an address such as nats://nats.data:4222')
              .default('')
              .describe("The NATS server that has the bucket; empty: the job's own, which then keeps it on a volume."),
            size: quantity().default('20Gi').describe("Of the volume on which the job's own NATS keeps the bucket."),
            storageClass: z.string().default('').describe("Its storage class; empty: the cluster's default."),
            cache: quantity()
              .default('20Gi')
              .describe("Most that a bucket's shards take of a node's disk for each pod; all of them must fit."),
          })
          .prefault({}),
        runs: z
          .strictObject({
            size: quantity().default('20Gi').describe('Of the volume for checkpoints, journal and logs.'),
            storageClass: z.string().default('').describe("Its storage class; empty: the cluster's default."),
          })
          .prefault({}),
        features: quantity()
          .default('20Gi')
          .describe("Most that a worker's cache of features takes of its node's disk."),
      })
      .prefault({}),
    images: z
      .strictObject({
        coordinator: z.string().min(1).default(image('coordinator')).describe("The coordinator's image."),
        worker: z
          .string()
          .default('')
          .describe(`The workers' image; empty: ${image('worker')}, or ${image('worker-cuda')} with GPUs.`),
        nats: z.string().min(1).default(`nats:${natsRelease}-alpine`).describe("nats-server's image."),
      })
      .prefault({}),
    tls: z
      .string()
      .regex(/^([a-z0-9]([a-z0-9.-]{0,200}[a-z0-9])?)?$/, 'lower-case letters, digits, dashes and dots')
      .default('')
      .describe(
        'Beginning of the Secrets\' names TLS-coordinator, TLS-worker, TLS-nats and, with shards, TLS-ps, with the files that "showtell certs" puts in the folders of these roles; empty: no TLS.',
      ),
    tracing: z
      .strictObject({
        endpoint: z
          .string()
          .regex(/^(https?:\/\/[^/]+(\/.*)?)?$/, 'an address such as http://collector.monitoring:4318')
          .default('')
          .describe('Collector that takes traces as OTLP over HTTP (docs/observability.md); empty: none are made.'),
        ratio: z.number().min(0).max(1).default(0.01).describe('Share of the traces that are kept.'),
      })
      .prefault({}),
    suspend: z
      .boolean()
      .default(false)
      .describe('Whether the job stands still: a checkpoint is saved and every pod is gone until it is false again.'),
    activeDeadlineSeconds: z
      .int()
      .min(1)
      .optional()
      .describe('Time in which it must be done; then it is saved, stopped and failed. None: for ever.'),
    ttlSecondsAfterFinished: z
      .int()
      .min(0)
      .optional()
      .describe('Time after its end at which it is deleted, its volume of runs aside. None: never.'),
  })
  .check((context) => {
    const { job, workers, storage } = context.value;
    if (storage.data.nats !== '' && storage.data.bucket === '') {
      const path = ['storage', 'data', 'bucket'];
      context.issues.push({ code: 'custom', input: context.value, path, message: 'storage.data.nats names none' });
    }
    if ((job.engine.device === 'cuda') === workers.gpus > 0) return;
    const path = ['workers', 'gpus'];
    const message = `${workers.gpus} do not go with job.engine.device: ${job.engine.device}`;
    context.issues.push({ code: 'custom', input: context.value, path, message });
  });

export type TrainingJobSpec = z.output<typeof trainingJobSpecSchema>;

/** A TrainingJob, every field there. */
export interface TrainingJob {
  readonly name: string;
  /** Undefined: the one that kubectl or the operator is in. */
  readonly namespace: string | undefined;
  readonly spec: TrainingJobSpec;
}

/** Longest name of which those of its objects and pods can be made: a label's 63 less the longest ending. */
const namePattern = /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/;

const resourceSchema = z.object({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('TrainingJob'),
  metadata: z.object({
    name: z.string().regex(namePattern, 'lower-case letters, digits and dashes, at most 40, a letter first'),
    namespace: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and dashes, at most 63')
      .optional(),
  }),
  spec: trainingJobSpecSchema.prefault({}),
});

/** What the command line says over a file. */
export interface TrainingJobOverrides {
  readonly name?: string;
  readonly namespace?: string;
  readonly workers?: number;
  readonly claim?: string;
  readonly bucket?: string;
}

/**
 * A checked TrainingJob from plain values: a TrainingJob, or a job file with the defaults around it.
 *
 * @param source names the origin in messages
 * @throws ShowtellError `job/invalid` with every bad field's path
 */
export function parseTrainingJob(content: unknown, source: string, over: TrainingJobOverrides = {}): TrainingJob {
  const isResource = isTree(content) && 'apiVersion' in content;
  const tree = isResource ? content : wrap(parseJob(content, [], source));
  const result = resourceSchema.safeParse(merge(tree, treeOf(over)));
  if (!result.success) throw new ShowtellError('job/invalid', { source, problems: problemsOf(result.error) });
  const { metadata, spec } = result.data;
  return { name: metadata.name, namespace: metadata.namespace, spec };
}

/** Where a TrainingJob has what was said; nothing for what was not. */
function treeOf({ name, namespace, workers, claim, bucket }: TrainingJobOverrides): Tree {
  const data = { ...(claim === undefined ? {} : { claim }), ...(bucket === undefined ? {} : { bucket }) };
  const spec = {
    ...(workers === undefined ? {} : { workers: { replicas: workers } }),
    ...(Object.keys(data).length === 0 ? {} : { storage: { data } }),
  };
  const metadata = { ...(name === undefined ? {} : { name }), ...(namespace === undefined ? {} : { namespace }) };
  return {
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
    ...(Object.keys(spec).length === 0 ? {} : { spec }),
  };
}

function wrap(job: ReturnType<typeof parseJob>): Tree {
  const gpus = job.engine.device === 'cuda' ? 1 : 0;
  return { apiVersion, kind: 'TrainingJob', metadata: { name: job.name }, spec: { job, workers: { gpus } } };
}

/** @throws ShowtellError `file/missing`, `job/not-yaml`, `job/invalid` */
export async function loadTrainingJob(file: string, over: TrainingJobOverrides): Promise<TrainingJob> {
  return parseTrainingJob(await readYaml(file, 'The job file'), file, over);
}
