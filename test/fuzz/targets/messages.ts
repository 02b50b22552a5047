import {
  type GradientChunk,
  GradientHeader,
  PushGradientRequest,
  Phase,
  SessionRequest,
  WireType,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { CommandRequest } from '@showtell/shared/generated/showtell/v1/control.js';
import { EvaluationKind, Unit } from '@showtell/shared/generated/showtell/v1/unit.js';
import { readRecord, type Split } from '@showtell/shared/data/dataset.js';
import { decodeUnit } from '@showtell/shared/bus/unit-message.js';
import { indexFile, readIndex, writeIndex } from '@showtell/shared/data/shard.js';
import { frameRecord, maskedCrc32c } from '@showtell/shared/data/tfrecord.js';
import { gradientBody, isSegmentName } from '@showtell/shared/tensors/gradient-body.js';
import { layOut } from '@showtell/shared/tensors/layout.js';
import { type Expected, judge } from '@showtell/coordinator/parameter-server/verdict.js';
import { receiveBody } from '@showtell/coordinator/parameter-server/receive-body.js';
import { scratchFile } from '../scratch.js';
import type { FuzzTarget } from '../target.js';

const layout = layOut([
  { name: 'lstm', shape: [4, 4], group: 'decoder' },
  { name: 'words', shape: [10, 4], group: 'embedding' },
]);
const expected: Expected = {
  run: 'a',
  generation: 1,
  lineage: 1,
  step: 5,
  phase: 'decoder-only',
  units: 4,
  unitExamples: 8,
  unitTokens: 160,
  wire: 'float32',
  embeddingRows: 10,
  counted: new Map([[3, { worker: 'w', attempt: 0 }]]),
  asynchronous: null,
};
const id = { run: 'a', generation: 1, lineage: 1, step: 5, index: 2, attempt: 0, evaluation: false };
const header: GradientHeader = {
  ...GradientHeader.decode(new Uint8Array()),
  unit: id,
  version: { generation: 1, lineage: 1, step: 5 },
  worker: 'w',
  examples: 8,
  tokens: 90,
  lossSum: 200,
  phase: Phase.PHASE_DECODER_ONLY,
  wireType: WireType.WIRE_TYPE_FLOAT32,
  segments: ['decoder'],
  embeddingRows: [1, 7],
};

/** Messages of a stream, each behind its length in two bytes. */
function* split(input: Buffer): Generator<Buffer> {
  for (let at = 0; at + 2 <= input.length;) {
    const end = at + 2 + input.readUInt16LE(at);
    yield input.subarray(at + 2, end);
    at = end;
  }
}
const joined = (messages: readonly PushGradientRequest['message'][]): Buffer =>
  Buffer.concat(
    messages.flatMap((message) => {
      const bytes = PushGradientRequest.encode({ message }).finish();
      const length = Buffer.alloc(2);
      length.writeUInt16LE(bytes.length);
      return [length, bytes];
    }),
  );

const chunk = (segment: string, bytes: number): PushGradientRequest['message'] => ({
  $case: 'chunk',
  value: { segment, element: 0, body: Buffer.alloc(bytes) },
});

/** What gRPC answers with INVALID_ARGUMENT or INTERNAL by itself: bytes that are no message. */
function decodedOrNull<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof Error && !(error instanceof TypeError)) return null;
    throw error;
  }
}

const pushGradient: FuzzTarget = {
  name: 'push-gradient',
  what: 'gRPC PushGradient: header to verdict, then chunks',
  seeds: () => ({
    whole: joined([{ $case: 'header', value: header }, chunk('decoder', 64), chunk('embedding', 32)]),
    header: joined([{ $case: 'header', value: { ...header, examples: 0 } }]),
    counted: joined([{ $case: 'header', value: { ...header, unit: { ...id, index: 3 } } }]),
  }),
  run: async (input) => {
    const messages = [...split(input)].map((bytes) => decodedOrNull(() => PushGradientRequest.decode(bytes)));
    const [first, ...rest] = messages;
    if (first?.message?.$case !== 'header') return;
    const { value } = first.message;
    if (judge(value, expected).kind !== 'wanted') return;
    const segments = value.segments.filter(isSegmentName);
    const body = gradientBody(layout, segments, value.embeddingRows.length, expected.wire);
    if (value.examples === 0) return;
    await receiveBody(chunksOf(rest), body, new SharedArrayBuffer(body.bytes));
  },
};

async function* chunksOf(messages: readonly (PushGradientRequest | null)[]): AsyncGenerator<GradientChunk> {
  for (const message of messages) if (message?.message?.$case === 'chunk') yield message.message.value;
}

const records = [Buffer.from('one'), Buffer.from('another')];

/** A split of one shard, as a worker has it. */
let opened: Promise<Split> | null = null;
async function openSplit(): Promise<Split> {
  const file = scratchFile('train-00000-of-00001', Buffer.concat(records.map(frameRecord)));
  let end = 0;
  const entries = records.map((data) => {
    const offset = end + 12;
    end = offset + data.length + 4;
    return { offset, length: data.length, crc: maskedCrc32c(data) };
  });
  await writeIndex(file, end, entries);
  const index = await readIndex(indexFile(file));
  const record = (i: number) => ({ shard: 0, offset: index.offset(i), length: index.length(i) });
  const counts = { count: 2, decoderExamples: 2, images: 2 };
  const shards = [{ file, records: 2 }];
  return { name: 'train', source: null, shards, ...counts, digest: '', captionsFile: null, record, index: () => index };
}

const unitMessage: FuzzTarget = {
  name: 'unit-message',
  what: 'NATS work units, and the records that they name',
  seeds: () => ({
    training: Unit.encode({
      id,
      jobSha256: 'j',
      work: { $case: 'training', value: { seed: 7, records: [{ shard: 0, offset: 12, length: 3 }], oldestVersion: 5 } },
    }).finish(),
    evaluation: Unit.encode({
      id: { ...id, evaluation: true },
      jobSha256: 'j',
      work: {
        $case: 'evaluation',
        value: {
          kind: EvaluationKind.EVALUATION_KIND_CAPTIONS,
          split: 'val',
          records: [{ shard: 0, offset: 31, length: 7 }],
        },
      },
    }).finish(),
  }),
  run: async (input) => {
    const unit = decodeUnit(input);
    if (unit === null) return;
    opened ??= openSplit();
    const train = await opened;
    for (const ref of unit.work.value.records.slice(0, 4)) await readRecord(train, ref);
  },
};

const sessionMessage: FuzzTarget = {
  name: 'session-message',
  what: 'gRPC Session and NATS commands: decoding',
  seeds: () => ({
    hello: SessionRequest.encode({
      message: {
        $case: 'hello',
        value: {
          worker: 'w',
          pid: 1,
          host: 'h',
          version: '0',
          jobSha256: '',
          datasetDigest: '',
          engine: 'wasm',
          instance: 'i',
          run: 'r',
        },
      },
    }).finish(),
    failure: SessionRequest.encode({
      message: { $case: 'unitFailure', value: { unit: id, code: 'data/record-corrupt', text: 'it is' } },
    }).finish(),
  }),
  run: (input) => {
    decodedOrNull(() => SessionRequest.decode(input));
    decodedOrNull(() => CommandRequest.decode(input));
  },
};

export const messageTargets = [pushGradient, unitMessage, sessionMessage];
