import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ShardProcesses } from '@showtell/coordinator/local/shard-processes.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import {
  ParameterServer,
  type ParameterServerOptions,
} from '@showtell/coordinator/parameter-server/parameter-server.js';
import { RemoteShard } from '@showtell/coordinator/parameter-server/remote-shard.js';
import { parameterHandlers } from '@showtell/coordinator/parameter-server/service.js';
import type { SessionRequest, SessionResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { type Job, jobSchema } from '@showtell/shared/job/job.js';
import { listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';
import { sealedParameterService } from '@showtell/shared/rpc/sealed-service.js';
import { allocateSegments } from '@showtell/shared/tensors/layout.js';
import type { ExchangeMarks, ExchangeTask } from './exchange-worker.js';
import type { BenchFigure } from './figure.js';
import { median } from './median.js';
import { torchPython } from './peers/torch.js';

const repetitions = 12;
/** Distinct words of a unit of short captions: rows of the embedding that its gradient touches. */
const distinctWords = 120;

interface Exchange {
  readonly name: string;
  readonly wire: Job['wire']['dtype'];
  readonly sharedMemory: boolean;
  /** Processes that the parameters are divided over; absent: the server alone has them. */
  readonly shards?: number;
  readonly target: number | null;
}

const exchanges: readonly Exchange[] = [
  { name: 'exchange, shared memory, float32', wire: 'float32', sharedMemory: true, target: 2.5 },
  { name: 'exchange, shared memory, bfloat16', wire: 'bfloat16', sharedMemory: true, target: null },
  { name: 'exchange, gRPC alone, float32', wire: 'float32', sharedMemory: false, target: null },
  { name: 'exchange, gRPC alone, bfloat16', wire: 'bfloat16', sharedMemory: false, target: null },
  { name: 'exchange, shared memory, float32, 2 shards', wire: 'float32', sharedMemory: true, shards: 2, target: null },
  { name: 'exchange, shared memory, float32, 4 shards', wire: 'float32', sharedMemory: true, shards: 4, target: null },
  { name: 'exchange, gRPC alone, float32, 2 shards', wire: 'float32', sharedMemory: false, shards: 2, target: null },
  { name: 'exchange, gRPC alone, float32, 4 shards', wire: 'float32', sharedMemory: false, shards: 4, target: null },
];

/**
 * From the last of two workers' gradients computed to the new version held by both: Inception V3 and im2txt's decoder,
 * 37,250,560 values, SGD with clipping and L2, real processes and real gRPC; beside gloo's all-reduce of as many values
 * between two processes.
 */
export async function* benchExchange(): AsyncGenerator<BenchFigure> {
  const peer = await allReduce();
  for (const exchange of exchanges) {
    const ours = await measure(exchange);
    const { name, target } = exchange;
    const command = 'npm run bench -- --only exchange';
    yield { name, ours, peer, ratio: peer === null ? null : ours / peer, target, unit: 'ms', command };
  }
}

async function measure(exchange: Exchange): Promise<number> {
  return exchanging(exchange, async ({ take }) => {
    const times: number[] = [];
    for (let step = 0; step < repetitions + 3; step++) times.push(await take(step));
    return median(times.slice(3));
  });
}

/** A parameter server of this process, and what takes a step of it with two workers' gradients. */
export interface Exchanging {
  readonly server: ParameterServer;
  /** @returns ms from the last gradient computed to the new version held by both */
  readonly take: (step: number) => Promise<number>;
}

/** What would be its job's hash. */
const jobSha256 = 'bench';

/** Has two worker processes exchange gradients and versions of im2txt's size with a parameter server as long as `use` lasts. */
export async function exchanging<T>(
  { wire, sharedMemory, shards }: Pick<Exchange, 'wire' | 'sharedMemory' | 'shards'>,
  use: (parts: Exchanging) => Promise<T>,
): Promise<T> {
  const job = jobSchema.parse({ batch: { examples: 8, units: 2 }, wire: { dtype: wire } });
  const { specs, layout } = modelParameters(job);
  await using processes = shards === undefined ? null : await startShards(shards);
  await using server = await ParameterServer.open({
    layout,
    specs,
    job,
    state: { step: 0, lineage: 0, phase: 'joint', parameters: allocateSegments(layout), optimizer: null },
    run: 'bench',
    generation: 1,
    threads: job.cluster.parameterThreads,
    sharedMemory: sharedMemory ? '/dev/shm' : null,
    divided: processes === null ? null : processes.divided,
  });
  const sessions = [0, 1].map((index) => ({ worker: `w${index}`, token: `of w${index}` }));
  await server.setSessions(sessions);
  const grpc = newGrpcServer();
  const refuse = (): void => undefined;
  grpc.addService(sealedParameterService, {
    ...parameterHandlers(server),
    session: (call: ServerDuplexStream<SessionRequest, SessionResponse>) => {
      const announce = (value = server.version): void => void call.write({ message: { $case: 'version', value } });
      const stop = server.onVersion(announce);
      call.on('data', () => announce()).on('error', refuse);
      call.on('end', () => {
        stop();
        call.end();
      });
    },
    pushEvaluation: refuse,
    checkCanary: refuse,
  });
  const port = await listen(grpc, '127.0.0.1:0');
  const workers = await Promise.all(
    [0, 1].map(async (index) => {
      const task: ExchangeTask = {
        address: `127.0.0.1:${port}`,
        specs: specs.map(({ name, shape, group }) => ({ name, shape, group })),
        index,
        wire,
        sharedMemory: server.sharedMemory,
        shards: sharedMemory ? server.shards : server.shards.map((shard) => ({ ...shard, sharedMemory: '' })),
        identity: { run: 'bench', jobSha256, token: sessions[index]?.token ?? '' },
        rows: distinctWords,
        width: job.model.decoder.embedding,
      };
      const worker = fork(fileURLToPath(new URL('./exchange-worker.ts', import.meta.url)), [JSON.stringify(task)]);
      await once(worker, 'message');
      return worker;
    }),
  );
  try {
    return await use({
      server,
      take: async (step) => {
        const [, ...marks] = await Promise.all([
          server.step({ step, phase: 'joint', learningRate: 0.0005 }).then((r) => {
            if (process.env['SHOWTELL_BENCH_VERBOSE'] === '1') console.error(JSON.stringify({ ...r.seconds }));
          }),
          ...workers.map(exchangeOnce),
        ]);
        const last = Math.max(...marks.map(({ computed }) => computed));
        return Math.max(...marks.map(({ held }) => held)) - last;
      },
    });
  } finally {
    for (const worker of workers) worker.kill();
    grpc.forceShutdown();
  }
}

/** Real processes of `showtell ps`, and the way to them. */
async function startShards(
  count: number,
): Promise<AsyncDisposable & { readonly divided: NonNullable<ParameterServerOptions['divided']> }> {
  const logFolder = mkdtempSync(join(tmpdir(), 'showtell-bench-'));
  const processes = await ShardProcesses.start({
    count,
    host: '127.0.0.1',
    logFolder,
    secured: null,
    onStart: () => undefined,
  });
  const fail = (error: Error): void => console.error(error);
  return {
    divided: {
      shards: count,
      open: (part) => RemoteShard.open(processes.addresses[part.shard] ?? '', { ...part, jobSha256 }, fail),
    },
    [Symbol.asyncDispose]: async () => {
      await processes[Symbol.asyncDispose]();
      rmSync(logFolder, { recursive: true, force: true });
    },
  };
}

async function exchangeOnce(worker: ChildProcess): Promise<ExchangeMarks> {
  const answer = once(worker, 'message');
  worker.send('go');
  const [marks] = (await answer) as [ExchangeMarks];
  return marks;
}

/** Median milliseconds of gloo's all-reduce; null without PyTorch. */
async function allReduce(): Promise<number | null> {
  const python = await torchPython();
  if (python === null) return null;
  const script = fileURLToPath(new URL('./peers/allreduce.py', import.meta.url));
  const { stdout } = await promisify(execFile)(python, [script, '--reps', String(repetitions)]);
  return (JSON.parse(stdout) as { median: number }).median;
}
