// A worker of the exchange benchmark: a real process that fills gradients, pushes them and pulls the next version.
import type { SessionResponse, Version } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { CallIdentity } from '@showtell/shared/rpc/call-identity.js';
import type { WireDtype } from '@showtell/shared/tensors/gradient-body.js';
import { allocateSegments, layOut } from '@showtell/shared/tensors/layout.js';
import { ParameterClient, type UnitGradient } from '@showtell/worker/parameters/client.js';
import type { SharedPlace } from '@showtell/worker/parameters/part-link.js';

/** The process's only argument, as JSON. */
export interface ExchangeTask {
  readonly address: string;
  readonly specs: Parameters<typeof layOut>[0];
  readonly index: number;
  readonly wire: WireDtype;
  readonly sharedMemory: SharedPlace | null;
  readonly shards: readonly {
    readonly address: string;
    readonly sharedMemory: string;
    readonly sharedMemoryNonce: string;
  }[];
  /** What shards know it by. */
  readonly identity: { readonly run: string; readonly jobSha256: string; readonly token: string };
  /** Of the embedding that its gradient touches; 0: it is sent whole. */
  readonly rows: number;
  readonly width: number;
}

/** What it answers to each message, in ms of the machine's clock. */
export interface ExchangeMarks {
  /** When its gradient was computed. */
  readonly computed: number;
  /** When it held the version made of it. */
  readonly held: number;
}

const task = JSON.parse(process.argv[2] ?? '') as ExchangeTask;
const { address, index, wire, sharedMemory, rows, width } = task;
const layout = layOut(task.specs);
const service = connectParameters(address);
const shards = task.shards.map(({ address: of, sharedMemory: directory, sharedMemoryNonce: nonce }) => ({
  service: connectParameters(of, { identity: new CallIdentity(task.identity) }),
  sharedMemory: directory === '' ? null : { directory, nonce },
}));
const worker = `w${index}`;
const client = await ParameterClient.open({ service, layout, worker, wire, sharedMemory, shards });
const gradient = allocateSegments(layout);
for (const values of Object.values(gradient)) values.fill(1e-3);
const numbers = Array.from({ length: rows }, (_, i) => i * 7);
const embeddingRows = rows === 0 ? null : { numbers, values: new Float32Array(rows * width).fill(1e-3) };
const { decoder, encoder, statistics } = gradient;
const dense = rows === 0 ? gradient : { decoder, encoder, statistics };

const waiting: (() => void)[] = [];
/** As the session announces it. */
const announced: { newest: Version | null } = { newest: null };
const session = service.session();
session.on('data', ({ message }: SessionResponse) => {
  if (message?.$case !== 'version') return;
  announced.newest = message.value;
  for (const resolve of waiting.splice(0)) resolve();
});
session.on('error', () => undefined);
const nothing = { host: '', version: '', jobSha256: '', datasetDigest: '', engine: '', instance: '', run: '' };
session.write({ message: { $case: 'hello', value: { worker, pid: process.pid, ...nothing } } });

/** The newest version, once it is another than `known`. */
async function versionAfter(known: Version | null): Promise<Version> {
  for (;;) {
    const { newest } = announced;
    if (newest !== null && newest !== known) return newest;
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
}

const now = (): number => Number(process.hrtime.bigint()) / 1e6;

await client.pull(await versionAfter(null));

async function exchange(): Promise<ExchangeMarks> {
  const version = await versionAfter(null);
  const { id, phase } = version;
  if (id === undefined) throw new Error('a version without a name was announced');
  // The gradient is written anew, as a step does, so that it is in this process's caches as after one.
  for (const values of Object.values(dense)) values.fill(1e-3);
  const computed = now();
  const { generation, lineage, step } = id;
  const unit: UnitId = { run: 'bench', generation, lineage, step, index, attempt: 1, evaluation: false };
  const counts = { examples: 4, tokens: 40, lossSum: 100, skipped: [], computeSeconds: 0, dataSeconds: 0 };
  const pushed = client.push({ unit, version: id, phase, ...counts, dense, embeddingRows } satisfies UnitGradient);
  await client.pull(await versionAfter(version));
  const marks = { computed, held: now() };
  await pushed;
  return marks;
}

process.on('message', () => void exchange().then((marks) => process.send?.(marks)));
process.send?.('ready');
