import { once } from 'node:events';
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type Settings as Http2Settings,
} from 'node:http2';
import { connect } from 'node:net';
import { status } from '@grpc/grpc-js';
import { Gate } from '@showtell/coordinator/security/gate.js';
import { serveGrpc } from '@showtell/coordinator/serve-grpc.js';
import { Workers } from '@showtell/coordinator/workers.js';
import {
  type CheckCanaryResponse,
  type Hello,
  type ParameterServiceClient,
  type SessionRequest,
  Phase,
  WireType,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import type { ListenerOptions } from '@showtell/shared/rpc/listener.js';
import { CallIdentity, identityIn, jobHeader, runHeader, sessionHeader } from '@showtell/shared/rpc/call-identity.js';
import type { RefusalReason } from '@showtell/shared/security/refusal.js';
import { expect, it, onTestFinished } from 'vitest';
import { testCerts } from '../../support/certs.js';
import { eventually } from '../../support/eventually.js';

const membership = { version: 'v', jobSha256: 'j', datasetDigest: 'd' };
const welcome = {
  run: 'r',
  jobSha256: 'j',
  generation: 1,
  natsUrl: '',
  unitStream: '',
  sharedMemory: '',
  sharedMemoryNonce: '',
  shards: [],
};
/** What calls say. */
const ours = { run: 'r', jobSha256: 'j' };
const nobody = { joined() {}, refused() {}, left() {}, leaseReturned() {}, unitFailed() {} };

/** A real server whose bounds are near; its pulls never end. */
async function bounded(more: Partial<ListenerOptions> = {}) {
  const reasons: RefusalReason[] = [];
  const onRefused = ({ reason }: { reason: RefusalReason }): void => void reasons.push(reason);
  const limits = { sessions: 2, calls: 1, messagesPerSecond: 50, helloMs: 300, canaries: 2 };
  const gate = new Gate({ run: 'r', jobSha256: 'j', generation: 1, secured: false, onRefused, limits });
  const workers = new Workers(membership, welcome, nobody, gate);
  const unused = (): never => {
    throw new Error('nothing is pushed here');
  };
  const accepted: CheckCanaryResponse = { accepted: true, expectedSha256: '' };
  const guarded = gate.guard({
    pullVersion: () => undefined,
    pushGradient: unused,
    pushEvaluation: unused,
    checkCanary: (_, respond) => respond(null, accepted),
  });
  const options = { host: '127.0.0.1', port: 0, tls: null, onRefused, maxConnections: 3, ...more };
  const server = await serveGrpc(options, { ...guarded, session: workers.serve }, [gate.early(500)]);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { port: server.port, reasons, workers };
}

function client(port: number): ParameterServiceClient {
  const connected = connectParameters(`127.0.0.1:${port}`, { tls: null, identity: new CallIdentity(ours) });
  onTestFinished(() => connected.close());
  return connected;
}

function session(from: ParameterServiceClient, worker: string | null) {
  const call = from.session();
  const ended = new Promise<status>((resolve) => {
    call.on('error', ({ code }: { code?: status }) => resolve(code ?? status.UNKNOWN));
    call.on('end', () => resolve(status.OK));
  });
  const welcomed = new Promise<void>((resolve) => call.on('data', () => resolve()));
  const token = new Promise<string>((resolve) =>
    call.on('metadata', (metadata) => resolve(identityIn(metadata).token ?? 'it got none')),
  );
  const send = (message: SessionRequest['message']): void => void call.write({ message });
  const hello = { ...membership, pid: 1, host: 'h', engine: 'e', instance: 'i', run: '' };
  if (worker !== null) send({ $case: 'hello', value: { ...hello, worker } satisfies Hello });
  return { send, ended, welcomed, token, close: () => call.end() };
}

it('sessions are few, must say who they are, and may say only so much', async () => {
  const { port, reasons, workers } = await bounded();
  const one = client(port);
  const [silent, first] = [session(one, null), session(one, 'a')];
  await first.welcomed;
  expect(await session(one, 'b').ended).toBe(status.RESOURCE_EXHAUSTED);
  expect(await silent.ended).toBe(status.DEADLINE_EXCEEDED);
  const second = session(one, 'b');
  await second.welcomed;
  for (let i = 0; i < 60; i++) second.send({ $case: 'leaseTaken', value: { unit: undefined } });
  expect(await second.ended).toBe(status.RESOURCE_EXHAUSTED);
  expect(reasons).toEqual(['too-many-sessions', 'silent', 'too-many-messages']);
  await eventually('it is no member any more', () => workers.list.length === 1);
  expect(workers.list.map(({ id }) => id)).toEqual(['a']);
});

it('a worker has few calls under way, and ended ones count no more', async () => {
  const { port, reasons } = await bounded();
  const one = client(port);
  await session(one, 'a').welcomed;
  const pull = () => one.pullVersion({ id: undefined, segments: [], wireType: WireType.WIRE_TYPE_FLOAT32 });
  const ended = (call: ReturnType<typeof pull>): Promise<status> =>
    new Promise((resolve) =>
      call.on('error', ({ code }: { code?: status }) => resolve(code ?? status.UNKNOWN)).resume(),
    );
  const held = pull();
  held.on('error', () => undefined).resume();
  await eventually('a second one is refused', async () => {
    const other = pull();
    const settled = await Promise.race([ended(other), new Promise((resolve) => setTimeout(resolve, 100, null))]);
    other.cancel();
    return settled === status.RESOURCE_EXHAUSTED;
  });
  held.cancel();
  const refusals = reasons.length;
  await eventually('another may begin', async () => {
    const other = pull();
    const settled = await Promise.race([ended(other), new Promise((resolve) => setTimeout(resolve, 100, null))]);
    other.cancel();
    return settled === null;
  });
  expect(new Set(reasons)).toEqual(new Set(['too-many-calls']));
  expect(refusals).toBeGreaterThan(0);
  const canary = (graph: string): Promise<boolean> =>
    new Promise((resolve) =>
      one.checkCanary({ worker: 'a', graph, sha256: 'a'.repeat(64) }, (error) => resolve(error === null)),
    );
  expect([await canary('1'), await canary('2'), await canary('3'), await canary('1')]).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

it('calls of sessions that have ended count too, as long as they are under way', async () => {
  const { port, reasons } = await bounded();
  const one = client(port);
  const pull = () => one.pullVersion({ id: undefined, segments: [], wireType: WireType.WIRE_TYPE_FLOAT32 });
  const first = session(one, 'a');
  await first.welcomed;
  const held = pull();
  held.on('error', () => undefined).resume();
  await eventually('it is under way', async () => {
    const other = pull();
    const refused = await new Promise<boolean>((resolve) => {
      other.on('error', ({ code }: { code?: status }) => resolve(code === status.RESOURCE_EXHAUSTED)).resume();
      setTimeout(resolve, 100, false);
    });
    other.cancel();
    return refused;
  });
  first.close();
  await first.ended;
  await session(one, 'a').welcomed;
  const before = reasons.length;
  const again = pull();
  const code = new Promise((resolve) => again.on('error', (error: { code?: status }) => resolve(error.code)).resume());
  expect(await code).toBe(status.RESOURCE_EXHAUSTED);
  expect(reasons.slice(before)).toEqual(['too-many-calls']);
  held.cancel();
});

it('graphs that one worker makes up keep no other from its canaries', async () => {
  const { port, workers } = await bounded();
  const [one, other] = [client(port), client(port)];
  const first = session(one, 'a');
  await first.welcomed;
  await session(other, 'b').welcomed;
  const canary = (from: ParameterServiceClient, worker: string, graph: string): Promise<boolean> =>
    new Promise((resolve) =>
      from.checkCanary({ worker, graph, sha256: 'a'.repeat(64) }, (error) => resolve(error === null)),
    );
  expect([await canary(one, 'a', '1'), await canary(one, 'a', '2'), await canary(one, 'a', '3')]).toEqual([
    true,
    true,
    false,
  ]);
  expect(await canary(other, 'b', '4')).toBe(true);
  // Nothing is kept of who is gone.
  first.close();
  await eventually('it is gone', () => workers.list.length === 1);
  await session(one, 'a').welcomed;
  expect(await canary(one, 'a', '5')).toBe(true);
});

it('a worker that reads nothing of its session is shut out before what waits for it grows without end', async () => {
  const { port, workers } = await bounded();
  const call = client(port).session();
  call.on('error', () => undefined);
  const hello = { ...membership, pid: 1, host: 'h', engine: 'e', instance: 'i', run: '', worker: 'deaf' };
  // Nothing is read of a call that nobody listens to.
  call.pause();
  call.write({ message: { $case: 'hello', value: hello } });
  await eventually('it is a member', () => workers.list.length === 1);
  const version = { id: { generation: 1, lineage: 1, step: 1 }, phase: Phase.PHASE_JOINT, segments: [] };
  await eventually('it is none any more', () => {
    for (let i = 0; i < 500; i++) workers.announce(version);
    return workers.list.length === 0;
  });
});

it('connections are few, and one that is closed makes room', async () => {
  const { port, reasons } = await bounded();
  const open = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      onTestFinished(() => void socket.destroy());
      // The server greets first.
      socket.once('data', () => resolve(true)).once('close', () => resolve(false));
    });
  expect([await open(), await open(), await open(), await open()]).toEqual([true, true, true, false]);
  expect(reasons).toEqual(['too-many-connections']);
});

it('those who do not show who they are keep nobody out for long', async () => {
  const certs = await testCerts();
  onTestFinished(() => certs[Symbol.dispose]());
  const { port, reasons } = await bounded({
    tls: certs.of('coordinator'),
    maxConnections: 100,
    maxHandshakes: 3,
    handshakeMs: 400,
  });
  const silent = () => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    return new Promise<void>((resolve) => socket.once('close', () => resolve()));
  };
  const gone = [silent(), silent(), silent()];
  await eventually('the fourth is turned away', async () => {
    await silent();
    return reasons.includes('too-many-connections');
  });
  await Promise.all(gone);
  expect(reasons.filter((reason) => reason === 'handshake').length).toBeGreaterThanOrEqual(3);
  const known = connectParameters(`127.0.0.1:${port}`, { tls: certs.of('worker') });
  onTestFinished(() => known.close());
  await session(known, 'a').welcomed;
});

/** What a gRPC client does not: streams whose bytes are the test's. */
function rawConnection(port: number) {
  const connection = connectHttp2(`http://127.0.0.1:${port}`).on('error', () => undefined);
  onTestFinished(() => connection.destroy());
  return connection;
}

interface Said {
  readonly run?: string;
  readonly job?: string;
  readonly token?: string;
}

/** Begins a call and says that a message of a mebibyte follows, of which half comes. @returns gRPC's status, once it is there */
function halfSaid(connection: ClientHttp2Session, method: string, said: Said = {}) {
  const { run = ours.run, job = ours.jobSha256, token } = said;
  const stream = connection.request({
    ':method': 'POST',
    ':path': `/showtell.v1.ParameterService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...{ [runHeader]: run, [jobHeader]: job },
    ...(token === undefined ? {} : { [sessionHeader]: token }),
  });
  stream.on('error', () => undefined);
  const frame = Buffer.alloc(524_288);
  frame.writeUInt32BE(1_048_576, 1);
  stream.write(frame);
  return new Promise<number>((resolve) => {
    const look = (headers: IncomingHttpHeaders): void => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']));
    };
    stream.on('response', look).on('trailers', look);
  });
}

it('who is not in session is answered before a message of theirs is taken in', async () => {
  const { port, reasons } = await bounded();
  const connection = rawConnection(port);
  for (const method of ['PushEvaluation', 'CheckCanary', 'PullVersion', 'PushGradient']) {
    expect(await halfSaid(connection, method)).toBe(status.UNAUTHENTICATED);
    expect(await halfSaid(connection, method, { token: 'made up' })).toBe(status.UNAUTHENTICATED);
  }
  expect(reasons).toEqual(Array(8).fill('no-session'));
});

it('who is in session, and calls for another run or job, is answered before a message too', async () => {
  const { port, reasons } = await bounded();
  const token = await session(client(port), 'a').token;
  const connection = rawConnection(port);
  for (const method of ['PushEvaluation', 'CheckCanary', 'PullVersion', 'PushGradient']) {
    expect(await halfSaid(connection, method, { token, run: 'other' })).toBe(status.PERMISSION_DENIED);
    expect(await halfSaid(connection, method, { token, job: 'other' })).toBe(status.PERMISSION_DENIED);
  }
  expect(reasons).toEqual(Array(4).fill(['other-run', 'other-job']).flat());
});

it('a worker has few calls whose message is on its way, and not for long', async () => {
  const { port, reasons } = await bounded();
  const known = session(client(port), 'a');
  const token = await known.token;
  const connection = rawConnection(port);
  const open = ['PushEvaluation', 'CheckCanary', 'PullVersion', 'PushEvaluation'].map((method) =>
    halfSaid(connection, method, { token }),
  );
  expect(await halfSaid(connection, 'CheckCanary', { token })).toBe(status.RESOURCE_EXHAUSTED);
  expect(reasons).toEqual(['too-many-calls']);
  expect(await Promise.all(open)).toEqual(Array(4).fill(status.DEADLINE_EXCEEDED));
  expect(await halfSaid(connection, 'CheckCanary', { token })).toBe(status.DEADLINE_EXCEEDED);
});

it('a connection has few streams, and their headers are small', async () => {
  const { port } = await bounded();
  const connection = rawConnection(port);
  const [settings] = (await once(connection, 'remoteSettings')) as [Http2Settings];
  expect(settings.maxConcurrentStreams).toBe(32);
  const answersHeadersOf = (bytes: number) => {
    const stream = connection.request({
      ':method': 'POST',
      ':path': '/showtell.v1.ParameterService/Unknown',
      'content-type': 'application/grpc',
      'x-long': 'x'.repeat(bytes),
    });
    stream.on('error', () => undefined);
    return new Promise<boolean>((resolve) => {
      stream.once('response', () => resolve(true)).once('close', () => resolve(false));
    });
  };
  // Node's own bound is 64 KiB.
  expect([await answersHeadersOf(1_000), await answersHeadersOf(70_000)]).toEqual([true, false]);
});
