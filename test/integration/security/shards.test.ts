import { setTimeout as delay } from 'node:timers/promises';
import { type ServiceError, status } from '@grpc/grpc-js';
import { ParameterServer } from '@showtell/coordinator/parameter-server/parameter-server.js';
import { RemoteShard } from '@showtell/coordinator/parameter-server/remote-shard.js';
import { serveShard } from '@showtell/coordinator/parameter-server/serve-shard.js';
import { openShardMetrics } from '@showtell/coordinator/parameter-server/shard-metrics.js';
import {
  type GradientHeader,
  type ParameterServiceClient,
  Phase,
  type PushGradientResponse,
  Verdict,
  WireType,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import { connectParameters, connectShard } from '@showtell/shared/rpc/channel.js';
import { CallIdentity } from '@showtell/shared/rpc/call-identity.js';
import type { RefusalReason } from '@showtell/shared/security/refusal.js';
import { openLog } from '@showtell/shared/service/log.js';
import { allocateSegments, layOut, type SegmentName } from '@showtell/shared/tensors/layout.js';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Role } from '@showtell/shared/security/role.js';
import { testCerts, type TestCerts } from '../../support/certs.js';

const specs = [
  { name: 'conv/weights', shape: [3, 5], group: 'encoder', l2: true },
  { name: 'lstm/kernel', shape: [4, 6], group: 'decoder', l2: false },
  { name: 'seq_embedding/map', shape: [6, 3], group: 'embedding', l2: false },
  { name: 'moving_mean', shape: [3], group: 'statistics', l2: false },
] as const;
const layout = layOut(specs);
const job = jobSchema.parse({ batch: { examples: 6, units: 3 } });
const jobSha256 = 'j';
const version = { generation: 1, lineage: 0, step: 0 };

let certs: TestCerts;
beforeAll(async () => {
  certs = await testCerts();
});
afterAll(() => {
  delete process.env['SHOWTELL_TLS'];
  certs[Symbol.dispose]();
});

/** What this process shows from now on. */
const showCertificateOf = (role: Role): void => void (process.env['SHOWTELL_TLS'] = certs.of(role).path);

/** A shard of its own port, for a run's coordinator that opens it. */
async function served(role: Role = 'ps') {
  showCertificateOf(role);
  const log = openLog({ fields: { role: 'parameter-server' }, level: 'silent' });
  const { series } = openShardMetrics();
  const parametersOf = () => ({ specs, layout });
  const shard = await serveShard({ host: '127.0.0.1', port: 0, series, log, parametersOf });
  onTestFinished(() => shard[Symbol.asyncDispose]());
  const refusals = async (reason: RefusalReason): Promise<number> =>
    (await series.refused.get()).values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
  const left = async (): Promise<number> =>
    (await series.gradients.get()).values.find(({ labels }) => labels.outcome === 'left')?.value ?? 0;
  return { address: shard.address, refusals, left };
}

/** The parameter server whose only shard that is. */
async function opened(address: string): Promise<ParameterServer> {
  showCertificateOf('coordinator');
  const parameters = allocateSegments(layout);
  const server = await ParameterServer.open({
    ...{ layout, specs, job, run: 'test', generation: 1, threads: 1 },
    state: { step: 0, lineage: 0, phase: 'joint', parameters, optimizer: null },
    divided: { shards: 1, open: (part) => RemoteShard.open(address, { ...part, jobSha256 }, () => undefined) },
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

interface Shown {
  readonly role?: 'worker' | 'client';
  readonly run?: string | null;
  readonly jobSha256?: string | null;
}

/** A worker's connection. @param token of its session; null: it has none */
function client(
  address: string,
  token: string | null,
  { role = 'worker', ...said }: Shown = {},
): ParameterServiceClient {
  const identity = new CallIdentity({ run: 'test', jobSha256, ...said, token });
  const connected = connectParameters(address, { tls: certs.of(role), of: 'ps', identity });
  onTestFinished(() => connected.close());
  return connected;
}

/** What a pull comes to. */
function pulled(by: ParameterServiceClient, segments: readonly SegmentName[] = []): Promise<status> {
  const call = by.pullVersion({ id: version, segments: [...segments], wireType: WireType.WIRE_TYPE_FLOAT32 });
  return new Promise((resolve) =>
    call
      .on('error', ({ code }: { code?: status }) => resolve(code ?? status.UNKNOWN))
      .on('end', () => resolve(status.OK))
      .resume(),
  );
}

/** Leaves the shard's part of a unit's gradient. */
function push(
  by: ParameterServiceClient,
  worker: string,
  { index = 0, attempt = 1, run = 'test' }: { index?: number; attempt?: number; run?: string } = {},
): Promise<PushGradientResponse> {
  const segments: SegmentName[] = ['decoder', 'encoder', 'statistics'];
  const header: GradientHeader = {
    unit: { run, ...version, index, attempt, evaluation: false },
    ...{ version, phase: Phase.PHASE_JOINT, worker, examples: 2, tokens: 9, lossSum: 9, skipped: [] },
    ...{ wireType: WireType.WIRE_TYPE_FLOAT32, segments, embeddingRows: [], slot: '', atShards: false },
    ...{ computeSeconds: 0, dataSeconds: 0 },
  };
  return new Promise((resolve, reject) => {
    const call = by.pushGradient((error, answer) => (error === null ? resolve(answer) : reject(error)));
    call.write({ message: { $case: 'header', value: header } });
    for (const segment of segments) {
      const body = Buffer.alloc(layout.elements[segment] * 4);
      call.write({ message: { $case: 'chunk', value: { segment, element: 0, body } } });
    }
    call.end();
  });
}

const accepted = { verdict: Verdict.VERDICT_ACCEPTED, detail: '' };

describe('a shard', () => {
  it('is led by a coordinator alone, and takes nothing from who is no worker', async () => {
    const { address, refusals } = await served();
    const led = (role: 'worker' | 'coordinator'): Promise<status> => {
      const leader = connectShard(address, certs.of(role));
      onTestFinished(() => leader.close());
      return new Promise((resolve) => leader.leave({ lead: undefined }, (error) => resolve(error?.code ?? status.OK)));
    };
    expect(await led('worker')).toBe(status.PERMISSION_DENIED);
    expect(await led('coordinator')).not.toBe(status.PERMISSION_DENIED);
    expect(await pulled(client(address, null, { role: 'client' }))).toBe(status.PERMISSION_DENIED);
    expect(await refusals('role')).toBe(2);
    // Nobody has opened it.
    expect(await pulled(client(address, null))).toBe(status.UNAVAILABLE);
  });

  it('is believed with a certificate of its own role alone', async () => {
    const leave = (address: string): Promise<string> => {
      const leader = connectShard(address, certs.of('coordinator'));
      onTestFinished(() => leader.close());
      return new Promise((resolve) => leader.leave({ lead: undefined }, (error) => resolve(error?.details ?? '')));
    };
    expect(await leave((await served()).address)).not.toContain('certificate');
    expect(await leave((await served('coordinator')).address)).toContain('is for the role coordinator, not for ps');
  });

  it('has nothing for a worker’s certificate without a session, and keeps nothing of it', async () => {
    const { address, refusals, left } = await served();
    const server = await opened(address);
    await server.setSessions([{ worker: 'a', token: 'secret' }]);
    const unknown = { code: status.UNAUTHENTICATED };
    for (const token of [null, 'guessed']) {
      const stranger = client(address, token);
      expect(await pulled(stranger, ['decoder'])).toBe(status.UNAUTHENTICATED);
      await expect(push(stranger, 'a')).rejects.toMatchObject(unknown);
    }
    expect([await refusals('no-session'), await left()]).toEqual([4, 0]);
    const worker = client(address, 'secret');
    expect(await pulled(worker, ['decoder'])).toBe(status.OK);
    expect(await push(worker, 'a')).toEqual(accepted);
    // Its session ends, as the coordinator tells.
    await server.setSessions([]);
    await expect(push(worker, 'a', { index: 1 })).rejects.toMatchObject(unknown);
    expect([await refusals('no-session'), await left()]).toEqual([5, 1]);
  });

  it('takes from a worker in session what is in its own name and of this run', async () => {
    const { address, refusals, left } = await served();
    const server = await opened(address);
    await server.setSessions([
      { worker: 'a', token: 'of a' },
      { worker: 'b', token: 'of b' },
    ]);
    const mallory = client(address, 'of a');
    const forbidden = { code: status.PERMISSION_DENIED };
    await expect(push(mallory, 'b')).rejects.toMatchObject(forbidden);
    await expect(push(mallory, 'a', { run: 'other' })).rejects.toMatchObject(forbidden);
    expect([await refusals('other-worker'), await refusals('other-run'), await left()]).toEqual([1, 1, 0]);
  });

  it('takes no call of a worker in session that names another run or job, or none', async () => {
    const { address, refusals, left } = await served();
    const server = await opened(address);
    await server.setSessions([{ worker: 'a', token: 'of a' }]);
    for (const said of [{ run: null }, { run: 'other' }, { jobSha256: null }, { jobSha256: 'other' }]) {
      const elsewhere = client(address, 'of a', said);
      expect(await pulled(elsewhere, ['decoder'])).toBe(status.PERMISSION_DENIED);
      await expect(push(elsewhere, 'a')).rejects.toMatchObject({ code: status.PERMISSION_DENIED });
      // Nor is the word of a session waited for.
      const early = client(address, 'new', said);
      expect(await pulled(early, ['decoder'])).toBe(status.PERMISSION_DENIED);
    }
    expect([await refusals('other-run'), await refusals('other-job'), await left()]).toEqual([6, 6, 0]);
  });

  it('does nothing for a coordinator that names another job than it was opened with', async () => {
    const { address } = await served();
    const server = await opened(address);
    await server.setSessions([{ worker: 'a', token: 'of a' }]);
    const leader = connectShard(address, certs.of('coordinator'));
    onTestFinished(() => leader.close());
    const lead = { run: 'test', generation: 1, jobSha256: 'other' };
    const isRefused = (ask: (done: (error: Partial<ServiceError> | null) => void) => unknown) =>
      expect(new Promise((resolve) => ask((error) => resolve(error?.details)))).resolves.toBe('this shard is at job j');
    await isRefused((done) => leader.setSessions({ lead, sessions: [] }, done));
    await isRefused((done) => leader.forgetWorker({ lead, worker: 'a' }, done));
    await isRefused((done) => leader.leave({ lead }, done));
    await isRefused((done) => leader.attend({ lead }).on('error', done));
    expect(await pulled(client(address, 'of a'), ['decoder'])).toBe(status.OK);
  });

  it('waits a moment for the word of a session whose worker was faster', async () => {
    const { address } = await served();
    const server = await opened(address);
    const worker = client(address, 'new');
    const answers = [push(worker, 'a'), pulled(worker, ['encoder'])] as const;
    await delay(200);
    await server.setSessions([{ worker: 'a', token: 'new' }]);
    expect(await Promise.all(answers)).toEqual([accepted, status.OK]);
  });

  it('keeps one gradient of each unit for a worker, whatever attempts it makes up, and has room for others', async () => {
    const { address, left } = await served();
    const server = await opened(address);
    const names = ['a', 'b', 'c', 'd', 'e'];
    await server.setSessions(names.map((worker) => ({ worker, token: `of ${worker}` })));
    const clients = new Map(names.map((worker) => [worker, client(address, `of ${worker}`)]));
    const leave = async (worker: string, index: number, attempt: number): Promise<void> =>
      expect(await push(clients.get(worker)!, worker, { index, attempt })).toEqual(accepted);
    const leader = connectShard(address, certs.of('coordinator'));
    onTestFinished(() => leader.close());
    const isThere = (worker: string, index: number, attempt: number): Promise<boolean | string> =>
      new Promise((resolve) => {
        const unit = { step: 0, index, worker, attempt, phase: Phase.PHASE_JOINT, examples: 2, keepBefore: false };
        const request = { lead: { run: 'test', generation: 1, jobSha256 }, ...unit, average: undefined };
        leader.addUnit(request, (error, answer) => resolve(error === null ? !answer.missing : error.details));
      });
    for (let attempt = 1; attempt <= 20; attempt++) await leave('a', 0, attempt);
    expect(await isThere('a', 0, 1)).toBe(false);
    expect(await isThere('a', 0, 20)).toBe(true);
    // Four for each unit: it is full.
    for (const worker of ['a', 'b', 'c', 'd']) for (const index of [0, 1, 2]) await leave(worker, index, 1);
    await leave('e', 1, 1);
    expect(await left()).toBe(33);
    expect(await isThere('e', 1, 1)).toBe(true);
    // The oldest of who left the most went for it.
    expect(await isThere('a', 0, 1)).toBe(false);
    expect(await isThere('a', 1, 1)).toBe(true);
    expect(await isThere('b', 0, 1)).toBe(true);
  });
});
