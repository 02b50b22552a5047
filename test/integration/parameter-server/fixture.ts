import type { Server } from '@grpc/grpc-js';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  ParameterServer,
  type ParameterServerOptions,
} from '@showtell/coordinator/parameter-server/parameter-server.js';
import { parameterHandlers } from '@showtell/coordinator/parameter-server/service.js';
import { ParameterServiceService, Phase, type Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { type Job, jobSchema } from '@showtell/shared/job/job.js';
import { connectParameters, listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';
import {
  allocateSegments,
  layOut,
  type ParameterLayout,
  type Segments,
  tensorView,
} from '@showtell/shared/tensors/layout.js';
import { ParameterClient, type UnitGradient } from '@showtell/worker/parameters/client.js';

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

export function job(overrides: Record<string, unknown> = {}): Job {
  return jobSchema.parse({ batch: { examples: 12, units: 3 }, ...overrides });
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

export interface Cluster extends AsyncDisposable {
  readonly server: ParameterServer;
  readonly address: string;
  readonly connect: (worker: string, sharedMemory?: boolean) => Promise<ParameterClient>;
}

/** A parameter server behind real gRPC on a free port. */
export async function startCluster(
  options: Partial<ParameterServerOptions> & Pick<ParameterServerOptions, 'job'>,
): Promise<Cluster> {
  const server = await ParameterServer.open({
    layout,
    specs,
    state: { step: 0, lineage: 0, phase: 'joint', parameters: randomSegments(1), optimizer: null },
    run: 'test',
    generation: 1,
    threads: 2,
    ...options,
  });
  const grpc: Server = newGrpcServer();
  const unused: UntypedServiceImplementation = {};
  for (const name of Object.keys(ParameterServiceService)) unused[name] = () => undefined;
  grpc.addService(ParameterServiceService, { ...unused, ...parameterHandlers(server) });
  const port = await listen(grpc, '127.0.0.1:0');
  const closing: (() => Promise<void> | void)[] = [];
  return {
    server,
    address: `127.0.0.1:${port}`,
    connect: async (worker, sharedMemory = true) => {
      const service = connectParameters(`127.0.0.1:${port}`);
      const client = await ParameterClient.open({
        service,
        layout: server.layout,
        worker,
        wire: server.wire,
        sharedMemory: sharedMemory ? server.sharedMemory : null,
      });
      closing.push(() => client.close().then(() => service.close()));
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const close of closing) await close();
      grpc.forceShutdown();
      await server[Symbol.asyncDispose]();
    },
  };
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
    examples: 4,
    tokens: 40,
    lossSum: 100,
    skipped: [],
    computeSeconds: 0,
    dense: joint ? { decoder, embedding, encoder, statistics } : { decoder, embedding },
    embeddingRows: null,
    ...more,
  };
}
