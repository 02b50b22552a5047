import { z } from 'zod';
import { type EncoderName, encoders } from '../model/parameters.js';
import { fits, smallestSize } from '../model/smallest-size.js';
import { engineNames } from './engine-names.js';

/**
 * The job file: every number of a run, with a sentence, a unit and im2txt's value as its default
 * (im2txt/configuration.py). `docs/job.md` and the JSON Schema for editors are printed from this schema.
 *
 * A field is *numeric* unless marked `operational`: numeric fields decide the parameters' bits and are hashed into the
 * run; operational ones may change whenever a run resumes.
 */
const operational = z.registry<{ operational: true }>();

/** Far beyond any run: what is reckoned from numbers up to these neither overflows nor outgrows an array. */
const most = { steps: 1_000_000_000, records: 10_000_000, tableValues: 536_870_912 };

const count = () => z.int().min(1);
const stepCount = () => count().max(most.steps);
const seconds = () => z.number().min(1).max(86_400);
const fraction = () => z.number().gt(0).max(1);

const decay = z
  .strictObject({
    factor: fraction().default(0.5).describe('What the rate is multiplied with at each decay.'),
    everySteps: stepCount()
      .default(146_590)
      .describe(
        'Steps between decays, staircase. im2txt: 8 epochs of 586,363 captions at batch 32, int(586363 / 32 · 8).',
      ),
  })
  .describe('Staircase exponential decay.');

const model = z.strictObject({
  encoder: z
    .strictObject({
      name: z
        .enum(Object.keys(encoders) as EncoderName[])
        .default('inception_v3')
        .describe("The image encoder, by TF-Slim's name."),
      depthMultiplier: z
        .number()
        .gt(0)
        .max(2)
        .default(1)
        .describe(
          "slim's depth_multiplier: scales every layer's channels. slim has none for inception_v1 and inception_resnet_v2; here they scale by the same rule.",
        ),
      minDepth: z
        .int()
        .min(1)
        .max(64)
        .default(16)
        .describe("slim's min_depth: no layer gets fewer channels than this, however small depthMultiplier is."),
      imageSize: z
        .int()
        .min(1)
        .max(1024)
        .default(299)
        .describe(
          'Side of the square the encoder sees, in pixels. Made for 224: inception_v1 and inception_v2, which take any; for 299: inception_v3 and inception_resnet_v2, which take 75 and more.',
        ),
      weights: z
        .string()
        .min(1)
        .default('random')
        .describe(
          'First values of the encoder: "random", or a file with TF-Slim\'s variable names: a TensorFlow checkpoint (V2 or V1), safetensors, or the folder of a checkpoint.',
        ),
      allowRandomWeights: z
        .boolean()
        .default(true)
        .describe(
          'Whether weights: random may train decoder-only first. The im2txt preset says false: a decoder learns little from a random encoder.',
        ),
      initStddev: z
        .number()
        .gt(0)
        .nullable()
        .default(null)
        .describe(
          "Deviation of the convolutions' first values where weights are random, a truncated normal; null: TF-Slim's variance scaling. im2txt's is 0.1, with which the first layers learn faster.",
        ),
      batchNormDecay: z
        .number()
        .min(0)
        .lt(1)
        .default(0.9997)
        .describe('Decay of the moving mean and variance in the joint phase, per step.'),
      batchNormEpsilon: z.number().gt(0).default(0.001).describe('Added to the variance before its root.'),
    })
    .prefault({}),
  decoder: z
    .strictObject({
      embedding: count().max(16_384).default(512).describe('Size of word and image embeddings.'),
      units: count().max(16_384).default(512).describe('LSTM units.'),
      vocabulary: count()
        .max(1_000_000)
        .default(12_000)
        .describe(
          "Rows of the embedding and logits tables; at least the vocabulary's words plus one for unknown ones.",
        ),
      initScale: z.number().gt(0).default(0.08).describe('First values are uniform between minus and plus this.'),
      keep: fraction().default(0.7).describe('Share of LSTM inputs and outputs that dropout keeps.'),
    })
    .prefault({}),
});

const batch = z.strictObject({
  examples: count().max(65_536).default(32).describe('Image–caption pairs in a step.'),
  units: count()
    .max(4_096)
    .default(4)
    .describe('Work units in a step; examples must be a multiple. Workers take units, in any number.'),
  captionLengths: z
    .array(z.int().min(4).max(512))
    .min(1)
    .default([12, 16, 24, 32, 64])
    .describe(
      'Lengths that captions are padded to, in words with the start and without the end, rising; a unit takes the smallest that holds its longest caption, so there are as many graphs as lengths. Words past the last are cut.',
    ),
});

const augmentation = z.strictObject({
  enabled: z
    .boolean()
    .default(true)
    .describe(
      "im2txt's distortions: random crop, mirror, brightness, saturation, hue, contrast. Off: centre crop, and features of a frozen encoder are cached.",
    ),
  resize: z
    .int()
    .min(0)
    .max(2048)
    .default(346)
    .describe('Side that pictures are resized to before the crop, in pixels; 0: straight to imageSize.'),
});

const optimizer = z.strictObject({
  name: z
    .enum(['sgd', 'momentum', 'rmsprop', 'adam', 'adagrad'])
    .default('sgd')
    .describe("The update rule, as TensorFlow 1's optimizers compute it. im2txt: sgd."),
  momentum: z
    .number()
    .min(0)
    .lt(1)
    .default(0.9)
    .describe("Share of the last update kept, by momentum and rmsprop. Inception's is 0.9."),
  decay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.9)
    .describe(
      "rmsprop: share of the mean of squared gradients that a step keeps. TensorFlow's and Inception's is 0.9.",
    ),
  beta1: z
    .number()
    .min(0)
    .lt(1)
    .default(0.9)
    .describe("adam: share of the mean of gradients that a step keeps. TensorFlow's is 0.9."),
  beta2: z
    .number()
    .min(0)
    .lt(1)
    .default(0.999)
    .describe("adam: share of the mean of squared gradients that a step keeps. TensorFlow's is 0.999."),
  epsilon: z
    .number()
    .gt(0)
    .nullable()
    .default(null)
    .describe(
      "Keeps the divisor from zero: rmsprop adds it under the root, adam to the root. null: Inception's 1.0 for rmsprop (TensorFlow's own is 1e-10), TensorFlow's 1e-8 for adam.",
    ),
  initialAccumulator: z
    .number()
    .gt(0)
    .default(0.1)
    .describe("adagrad: what each value's sum of squared gradients begins with. TensorFlow's is 0.1."),
  clip: z.number().gt(0).default(5.0).describe("Largest global norm of a step's gradient."),
});

const guard = z.strictObject({
  maxPerplexityRatio: z
    .number()
    .gt(0)
    .nullable()
    .default(0.5)
    .describe(
      'The joint phase begins only if validation perplexity is at most this share of the unigram baseline; null: always.',
    ),
});

const phases = z.strictObject({
  decoderOnly: z
    .strictObject({
      steps: z
        .int()
        .min(0)
        .max(most.steps)
        .default(1_000_000)
        .describe('Steps with the encoder frozen. May grow on resume, until the joint phase has begun.'),
      learningRate: z.number().gt(0).default(2.0).describe('First learning rate.'),
      decay: decay.nullable().prefault({}).describe('How it falls; null: it does not.'),
      plateau: z
        .strictObject({
          evaluations: count()
            .max(1_000_000)
            .default(3)
            .describe('Evaluations without improvement after which the phase ends early.'),
          minImprovement: z
            .number()
            .min(0)
            .default(0.001)
            .describe('Smallest fall of validation loss per word that counts, relative.'),
        })
        .nullable()
        .default(null)
        .describe('Ends the phase before its steps are over when validation stops improving; null: never.'),
    })
    .prefault({}),
  joint: z
    .strictObject({
      steps: z
        .int()
        .min(0)
        .max(most.steps)
        .default(2_000_000)
        .describe('Steps that train the encoder too, after the decoder-only ones. May grow on resume.'),
      learningRate: z.number().gt(0).default(0.0005).describe('Learning rate of the phase.'),
      decay: decay.nullable().default(null).describe('How it falls, counted from the switch; null: it does not.'),
      l2: z
        .number()
        .min(0)
        .default(0.00004)
        .describe("Weight decay on the encoder's convolutions: l2 · sum(w²) / 2 joins the loss."),
      featureKeep: fraction().default(0.8).describe('Share of the pooled features that dropout keeps.'),
      guard: guard.prefault({}),
      maxBleuDrop: z
        .number()
        .gt(0)
        .nullable()
        .default(0.05)
        .describe(
          'If validation BLEU-4 falls by more than this below its value at the switch, the run rolls back to the switch, once, and ends decoder-only; null: never.',
        ),
      rollbackPatience: count()
        .max(1_000_000)
        .default(2)
        .describe('Evaluations in a row that must lie below before the rollback.'),
    })
    .prefault({}),
});

const evaluation = z.strictObject({
  everySteps: stepCount().default(5_000).describe("Steps between evaluations; the phases' ends are evaluated besides."),
  perplexityExamples: count()
    .max(most.records)
    .default(10_132)
    .describe('Validation pairs whose loss is summed. im2txt: 10,132.'),
  captionImages: z
    .int()
    .min(0)
    .max(most.records)
    .default(512)
    .describe('Validation pictures captioned for BLEU, novelty and colours.'),
  unitExamples: count().max(65_536).default(32).describe('Records in an evaluation unit.'),
  sampleImages: z
    .int()
    .min(0)
    .max(10_000)
    .default(6)
    .describe('Held-out pictures whose captions are kept at each evaluation.'),
  beam: count().max(32).default(3).describe('Beam width.'),
  maxLength: count().max(512).default(20).describe('Longest caption, in words with the start.'),
  lengthNormalization: z.number().min(0).default(0).describe("im2txt's length_normalization_factor."),
});

const asynchronous = z
  .strictObject({
    maxStaleness: count()
      .max(1024)
      .default(16)
      .describe(
        'Updates that may have been made between the version a gradient was computed with and the one it is applied to. Half as many units are open beside the first that is not applied; leave two for each worker.',
      ),
    warmStartSteps: z
      .int()
      .min(0)
      .max(most.steps)
      .default(0)
      .describe(
        'First updates of each phase that are taken one after the other, each gradient on the version before: they give the same bits every time.',
      ),
  })
  .describe('Downpour SGD: each unit is an update of its own, applied as it comes.');

const checkpoints = z.strictObject({
  everySteps: stepCount()
    .default(5_000)
    .describe("Steps between checkpoints; phases' ends and a stop save besides.")
    .register(operational, { operational: true }),
  keepLast: count()
    .max(1_000_000)
    .default(5)
    .describe('Checkpoints kept besides the best and pinned ones.')
    .register(operational, { operational: true }),
  keepBest: z
    .boolean()
    .default(true)
    .describe('Whether the one with the best validation BLEU-4 is kept.')
    .register(operational, { operational: true }),
});

const engine = z.strictObject({
  name: z
    .enum(engineNames)
    .default('tensorflow')
    .describe('What computes: compiled TensorFlow graphs, any GPU by WebGPU, or WebAssembly from npm alone.'),
  precision: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('Type of convolutions and products; parameters and sums stay float32. bfloat16 by tensorflow only.'),
  threads: count()
    .max(256)
    .default(2)
    .describe(
      'Threads TensorFlow uses within an operation, in each worker. Another number gives other bits. webgpu and wasm have one.',
    ),
  device: z.enum(['cpu', 'cuda']).default('cpu').describe('Where TensorFlow computes.'),
});

const wire = z.strictObject({
  dtype: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('Type of gradients and of the parameters that workers get; master values stay float32.'),
});

const cluster = z.strictObject({
  lookAhead: count()
    .max(64)
    .default(3)
    .describe(
      'Steps whose units are published ahead of the current one, for prefetching. Asynchronous jobs: asynchronous.maxStaleness decides.',
    )
    .register(operational, { operational: true }),
  leaseSeconds: seconds()
    .default(30)
    .describe('How long a unit stays with a worker that says nothing; a working one extends it.')
    .register(operational, { operational: true }),
  stallSeconds: seconds()
    .default(120)
    .describe('After this long without a result, the log names who is missing.')
    .register(operational, { operational: true }),
  parameterShards: count()
    .max(16)
    .default(1)
    .describe(
      'Processes that hold the parameters, a part each; 1: the coordinator holds them itself. The same bits either way.',
    )
    .register(operational, { operational: true }),
  stragglerFactor: z
    .number()
    .min(1)
    .max(1_000_000)
    .nullable()
    .default(3)
    .describe(
      'A unit that the current step waits for this many times as long as the median of the last ones took, and at least half a second, is computed by an idle worker too; the first result counts. null: never.',
    )
    .register(operational, { operational: true }),
  parameterThreads: count()
    .max(64)
    .default(2)
    .describe('Threads that sum, clip and update, in each of those processes.')
    .register(operational, { operational: true }),
  featureCache: z
    .enum(['off', 'memory', 'disk'])
    .default('disk')
    .describe('Where features of a frozen encoder are kept after the first pass; the same bits either way.')
    .register(operational, { operational: true }),
  sharedMemory: z
    .boolean()
    .default(true)
    .describe(
      "Whether workers on the coordinator's host exchange tensors through /dev/shm; false: over gRPC, as all others do.",
    )
    .register(operational, { operational: true }),
});

/** Values of the greatest of the embedding, the LSTM's kernel and the logits. */
function largestTable({ vocabulary, embedding, units }: z.output<typeof model>['decoder']): number {
  return Math.max(vocabulary * embedding, (embedding + units) * 4 * units, units * vocabulary);
}

export const jobSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'lower-case letters, digits and dashes')
      .default('show-and-tell')
      .describe('Name of the job.')
      .register(operational, { operational: true }),
    seed: z
      .int()
      .min(0)
      .max(0xffff_ffff)
      .default(1)
      .describe('Decides initialisation, order, augmentation and dropout.'),
    data: z
      .strictObject({
        directory: z
          .string()
          .min(1)
          .optional()
          .describe(
            "Folder with the TFRecord shards, or a bucket of NATS' object store, nats://HOST:PORT/BUCKET; --data overrides it.",
          )
          .register(operational, { operational: true }),
        cacheBytes: z
          .int()
          .min(0)
          .nullable()
          .default(null)
          .describe("Most bytes of a host's disk that shards out of buckets take; null: as many as there are.")
          .register(operational, { operational: true }),
        maxCorruptRecords: z
          .int()
          .min(0)
          .default(0)
          .describe(
            'Records whose bytes are sound but do not decode that may be skipped, by name, before the run stops.',
          ),
      })
      .prefault({}),
    model: model.prefault({}),
    batch: batch.prefault({}),
    asynchronous: asynchronous
      .nullable()
      .default(null)
      .describe(
        'Each unit is an update of its own, applied as it comes, on a version that may be older: batch.units must be 1, and the bits depend on who is faster. null: synchronous, the same bits every time.',
      ),
    augmentation: augmentation.prefault({}),
    optimizer: optimizer.prefault({}),
    phases: phases.prefault({}),
    evaluation: evaluation.prefault({}),
    checkpoints: checkpoints.prefault({}),
    engine: engine.prefault({}),
    wire: wire.prefault({}),
    cluster: cluster.prefault({}),
  })
  .check((context) => {
    const job = context.value;
    const refuse = (path: string[], message: string): void => {
      context.issues.push({ code: 'custom', input: job, path, message });
    };
    if (job.batch.examples % job.batch.units !== 0)
      refuse(['batch', 'units'], `${job.batch.examples} examples do not divide into ${job.batch.units} units`);
    if (job.asynchronous !== null && job.batch.units !== 1)
      refuse(
        ['batch', 'units'],
        `asynchronous jobs apply each unit by itself: units must be 1 and examples what a unit holds, such as ${Math.floor(job.batch.examples / job.batch.units)}, with as many more steps`,
      );
    if (job.batch.captionLengths.some((length, i, all) => i > 0 && length <= (all[i - 1] ?? 0)))
      refuse(['batch', 'captionLengths'], 'the lengths must rise');
    const { encoder, decoder } = job.model;
    const values = largestTable(decoder);
    if (values > most.tableValues)
      refuse(
        ['model', 'decoder'],
        `its largest table would have ${values} values, and one may have ${most.tableValues}, which are 2 GiB`,
      );
    if (!fits(encoder, encoder.imageSize))
      refuse(
        ['model', 'encoder', 'imageSize'],
        `${encoder.imageSize} pixels are too few for ${encoder.name}, whose smallest picture has ${smallestSize(encoder)}`,
      );
    if (job.augmentation.resize !== 0 && job.augmentation.resize < job.model.encoder.imageSize)
      refuse(
        ['augmentation', 'resize'],
        `${job.augmentation.resize} is smaller than model.encoder.imageSize ${job.model.encoder.imageSize}`,
      );
    if (job.engine.name !== 'tensorflow') {
      if (job.engine.precision !== 'float32')
        refuse(['engine', 'precision'], `${job.engine.precision} is computed by the tensorflow engine only`);
      if (job.engine.device !== 'cpu')
        refuse(['engine', 'device'], `${job.engine.device} is TensorFlow's: the ${job.engine.name} engine has none`);
    }
    for (const field of ['epsilon', 'initialAccumulator'] as const) {
      const value = job.optimizer[field];
      // A divisor of zero would make NaN of each value whose gradient is zero.
      if (value !== null && Math.fround(value) === 0)
        refuse(['optimizer', field], `${value} is 0 as float32, in which the update is computed`);
    }
    if (job.phases.decoderOnly.steps + job.phases.joint.steps < 1) refuse(['phases'], 'both phases have 0 steps');
    if (job.model.encoder.weights === 'random' && !job.model.encoder.allowRandomWeights)
      refuse(
        ['model', 'encoder', 'weights'],
        'is "random", which this job refuses: give a checkpoint of the encoder, or set allowRandomWeights: true',
      );
  });

export type Job = z.output<typeof jobSchema>;

/** Whether the field at `schema` may change on resume without changing the run's bits. */
export function isOperational(schema: z.core.$ZodType): boolean {
  return operational.has(schema);
}

/** A job file's content before defaults. */
export type JobInput = z.input<typeof jobSchema>;
