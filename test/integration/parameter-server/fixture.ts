import type { Server } from '@grpc/grpc-js';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  type OpenShard,
  ParameterServer,
  type ParameterServerOptions,
} from '@showtell/coordinator/parameter-server/parameter-server.js';
import { RemoteShard } from '@showtell/coordinator/parameter-server/remote-shard.js';
import { type ServedShard, serveShard } from '@showtell/coordinator/parameter-server/serve-shard.js';
import { parameterHandlers } from '@showtell/coordinator/parameter-server/service.js';
import type { OpenSession } from '@showtell/coordinator/security/call-guard.js';
import { openShardMetrics } from '@showtell/coordinator/parameter-server/shard-metrics.js';
import type { PushVerdict } from '@showtell/coordinator/parameter-server/verdict.js';
import type { ShowtellError } from '@showtell/shared/errors.js';
import { Phase, type Verdict, type Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { type Job, jobSchema } from '@showtell/shared/job/job.js';
import { openLog } from '@showtell/shared/service/log.js';
import { noTracing } from '@showtell/shared/service/tracing.js';
import { connectParameters, listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';
import { CallIdentity } from '@showtell/shared/rpc/call-identity.js';
import { sealedParameterService } from '@showtell/shared/rpc/sealed-service.js';
import {
  allocateSegments,
  layOut,
  type ParameterLayout,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { ParameterClient, type UnitGradient } from '@showtell/worker/parameters/client.js';
import type { SharedPlace } from '@showtell/worker/parameters/part-link.js';

/** A small model with what makes a layout irregular: more than one block, odd sizes, rows that straddle blocks. */
export const specs = [
  { name: 'encoder/conv/weights', shape: [3, 3, 7, 5], group: 'encoder', l2: true },
  { name: 'encoder/conv/BatchNorm/beta', shape: [5], group: 'encoder', l2: false },
  { name: 'encoder/deep/weights', shape: [70_001], group: 'encoder', l2: true },
  { name: 'encoder/conv/BatchNorm/moving_mean', shape: [5], group: 'statistics', l2: false },
  { name: 'encoder/conv/BatchNorm/moving_variance', shape: [5], group: 'statistics', l2: false },
  { name: 'seq_embedding/map', shape: [4_001, 33], group: 'embedding', l2: false },
  { name: 'lstm/basic_lstm_cell/kernel', shape: [130, 1_024], group: 'decoder', l2: false },
  { name: 'logits/biases', shape: [11], group: 'decoder', l2: false },
] as const;

export const layout: ParameterLayout = layOut(specs);
export const embeddingWidth = 33;

/** What stands for its job's hash. */
export const jobSha256 = 'j';

/** Records of each of its units. */
const unitExamples = 4;

export function job(overrides: Record<string, unknown> = {}): Job {
  return jobSchema.parse({ batch: { examples: 3 * unitExamples, units: 3 }, ...overrides });
}

/** Reproducible values between −1 and 1; no library of the project decides them. */
function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

export function randomSegments(seed: number, scale = 1): Segments {
  const segments = allocateSegments(layout);
  const next = noise(seed);
  for (const entry of layout.entries) tensorView(segments, entry).forEach((_, i, view) => (view[i] = next() * scale));
  return segments;
}

/** A gradient whose embedding is zero but for some rows, given both ways. */
export function randomGradient(seed: number): { dense: Segments; rows: { numbers: number[]; values: Float32Array } } {
  const dense = randomSegments(seed);
  const next = noise(seed + 77);
  const numbers = Array.from({ length: 4_001 }, (_, row) => row).filter(() => next() > 0.9);
  const values = new Float32Array(numbers.length * embeddingWidth).map(() => {
    const value = next();
    // Negative zeros must come out of a sparse sum as they come out of a dense one.
    return value > 0.8 ? -0 : value;
  });
  dense.embedding.fill(0);
  for (const [i, row] of numbers.entries())
    dense.embedding.set(values.subarray(i * embeddingWidth, (i + 1) * embeddingWidth), row * embeddingWidth);
  return { dense, rows: { numbers, values } };
}

type ClusterOptions = Partial<ParameterServerOptions> &
  Pick<ParameterServerOptions, 'job'> & {
    readonly shards?: number;
    /** Of a shard that is lost. */
    readonly onLost?: (error: ShowtellError) => void;
    readonly onHeader?: () => void;
    readonly onVerdict?: (verdict: Verdict) => void;
  };

export interface Cluster extends AsyncDisposable {
  /** Of the shards, where the parameters are divided. */
  readonly hosts: readonly ServedShard[];
  readonly server: ParameterServer;
  readonly address: string;
  readonly connect: (worker: string, sharedMemory?: boolean) => Promise<ParameterClient>;
}

/** A parameter server behind real gRPC on a free port, its shards too. */
export async function startCluster({
  shards = 1,
  onLost = () => undefined,
  onHeader = () => undefined,
  onVerdict = () => undefined,
  ...options
}: ClusterOptions): Promise<Cluster> {
  const log = openLog({ fields: {}, level: 'silent' });
  const hosts: ServedShard[] = [];
  while (shards > 1 && hosts.length < shards)
    hosts.push(
      await serveShard({
        host: '127.0.0.1',
        port: 0,
        series: openShardMetrics().series,
        log,
        parametersOf: () => ({ specs, layout }),
      }),
    );
  const divided =
    shards === 1
      ? null
      : {
          shards,
          open: (part: Parameters<OpenShard>[0]) =>
            RemoteShard.open(hosts[part.shard]!.address, { ...part, jobSha256 }, onLost),
        };
  const server = await ParameterServer.open({
    layout,
    specs,
    state: { step: 0, lineage: 0, phase: 'joint', parameters: randomSegments(1), optimizer: null },
    run: 'test',
    generation: 1,
    threads: 2,
    divided,
    ...options,
  });
  const grpc: Server = newGrpcServer();
  const unused: UntypedServiceImplementation = {};
  for (const name of Object.keys(sealedParameterService)) unused[name] = () => undefined;
  const told = (_: unknown, { verdict }: PushVerdict): void => onVerdict(verdict);
  const handlers = parameterHandlers(server, told, noTracing, () => {
    onHeader();
    return null;
  });
  grpc.addService(sealedParameterService, { ...unused, ...handlers });
  const port = await listen(grpc, '127.0.0.1:0');
  const closing: (() => Promise<void> | void)[] = [];
  const sessions: OpenSession[] = [];
  return {
    server,
    hosts,
    address: `127.0.0.1:${port}`,
    connect: async (worker, sharedMemory = true) => {
      const service = connectParameters(`127.0.0.1:${port}`);
      const token = `token of ${worker}, ${sessions.length}`;
      sessions.push({ worker, token });
      await server.setSessions(sessions);
      const identity = new CallIdentity({ run: 'test', jobSha256, token });
      const links = server.shards.map(({ address }) => connectParameters(address, { identity }));
      const client = await ParameterClient.open({
        service,
        layout: server.layout,
        worker,
        wire: server.wire,
        sharedMemory: sharedMemory ? server.sharedMemory : null,
        shards: links.map((each, i) => ({
          service: each,
          sharedMemory: sharedMemory ? placeOf(server.shards[i]!) : null,
        })),
      });
      closing.push(async () => {
        await client.close();
        for (const each of [service, ...links]) each.close();
      });
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const close of closing) await close();
      grpc.forceShutdown();
      await server[Symbol.asyncDispose]();
      for (const host of hosts) await host[Symbol.asyncDispose]();
    },
  };
}

function placeOf({ sharedMemory, sharedMemoryNonce }: ParameterServer['shards'][number]): SharedPlace {
  return { directory: sharedMemory, nonce: sharedMemoryNonce };
}

/** Unit `index` of the version's step, computed by nobody: the values are given. */
export function unitGradient(
  version: Version,
  index: number,
  gradient: Segments,
  more: Partial<UnitGradient> = {},
): UnitGradient {
  const id = version.id!;
  const { decoder, embedding, encoder, statistics } = gradient;
  const joint = version.phase === Phase.PHASE_JOINT;
  // What does not count was skipped.
  const skipped = Array.from({ length: Math.max(0, unitExamples - (more.examples ?? unitExamples)) }, (_, i) => i);
  return {
    unit: {
      run: 'test',
      generation: id.generation,
      lineage: id.lineage,
      step: id.step,
      index,
      attempt: 1,
      evaluation: false,
    },
    version: id,
    phase: version.phase,
    examples: unitExamples,
    tokens: 40,
    lossSum: 100,
    skipped,
    computeSeconds: 0,
    dataSeconds: 0,
    dense: joint ? { decoder, embedding, encoder, statistics } : { decoder, embedding },
    embeddingRows: null,
    ...more,
  };
}
