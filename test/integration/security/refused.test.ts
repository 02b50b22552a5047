import { readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { Authority } from '@showtell/coordinator/security/authority.js';
import {
  ParameterServiceClient,
  Phase,
  Verdict,
  WireType,
  type GradientHeader,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { CallIdentity, jobHeader, runHeader, sessionHeader } from '@showtell/shared/rpc/call-identity.js';
import type { RefusalReason } from '@showtell/shared/security/refusal.js';
import type { TlsMaterial } from '@showtell/shared/security/tls-folder.js';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { testCerts, type TestCerts } from '../../support/certs.js';
import { newRun, parametersAt, RunningCoordinator, tinyJob } from '../../support/coordinator-cluster.js';
import { coordinatorSuite } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import { startTestNats, type TestNats } from '../../support/nats-server.js';
import { scrape } from '../../support/scrape.js';

const suite = coordinatorSuite();
let certs: TestCerts;
let others: TestCerts;
let nats: TestNats;
beforeAll(async () => {
  [certs, others] = await Promise.all([testCerts({ workers: ['named'] }), testCerts()]);
  nats = await startTestNats(join(certs.directory, 'nats'));
});
afterAll(async () => {
  await nats[Symbol.asyncDispose]();
  certs[Symbol.dispose]();
  others[Symbol.dispose]();
});

/** A run that only those with certificates take part in. */
function secured(): RunningCoordinator {
  const { dataset } = suite.data;
  const job = tinyJob(dataset);
  return new RunningCoordinator(newRun(dataset, job), dataset, job, nats.url, 'debug', null, certs.of('coordinator'));
}

const good = (id: string, more: object = {}) => suite.good(id, { tls: certs.of('worker'), ...more });

/** Waits until a refusal is counted that was not before, and expects it in the log. */
async function refused(run: RunningCoordinator, reason: RefusalReason, act: () => Promise<unknown>): Promise<void> {
  const { http } = await run.announced();
  const count = async (): Promise<number> =>
    (await scrape(http)).get(`showtell_refused_total{reason="${reason}"}`) ?? 0;
  const before = await count();
  await act();
  await eventually(`a refusal is counted: ${reason}`, async () => (await count()) > before);
  const log = readFileSync(run.folder.at('logs', 'coordinator.log'), 'utf8');
  expect(log.split('\n').some((line) => line.includes('"refused"') && line.includes(`"${reason}"`))).toBe(true);
}

/** Addresses are no names. */
const byName = { 'grpc.ssl_target_name_override': 'localhost' };

/** What a call comes to that is made with these files, whatever they are. */
function greetWith({ ca, key, cert }: Partial<TlsMaterial>, address: string): Promise<ServiceError> {
  const client = new ParameterServiceClient(
    address,
    credentials.createSsl(ca ?? null, key ?? null, cert ?? null),
    byName,
  );
  return new Promise((resolve, reject) => {
    const call = client.session();
    call.on('data', () => reject(new Error('it was answered')));
    call.on('error', (error) => {
      client.close();
      resolve(error as ServiceError);
    });
  });
}

/** Sends bytes to a port, and ends when it hangs up. */
function send(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    socket
      .on('error', () => undefined)
      .on('close', () => resolve())
      .resume();
    socket.on(socket instanceof Object && 'authorized' in socket ? 'secureConnect' : 'connect', () =>
      socket.write(bytes),
    );
  });
}

describe('a run with certificates', () => {
  it('refuses, counts and logs whoever shows the wrong ones, and ends as if nobody had come', async () => {
    const { final } = await suite.undisturbed();
    const run = secured();
    const { grpc: address } = await run.announced();
    const { ca } = certs.of('worker').read();
    const authority = await Authority.from({
      certificate: readFileSync(join(certs.directory, 'ca.crt'), 'utf8'),
      key: readFileSync(join(certs.directory, 'ca.key'), 'utf8'),
    });
    const issued = async (begun: Date): Promise<TlsMaterial> => {
      const { certificate, key } = await authority.issue({
        role: 'worker',
        name: null,
        hosts: [],
        days: 1,
        from: begun,
      });
      return { ca, cert: Buffer.from(certificate), key: Buffer.from(key) };
    };
    const isGone = { code: status.UNAVAILABLE };

    await refused(run, 'no-certificate', async () => expect(await greetWith({ ca }, address)).toMatchObject(isGone));
    await refused(run, 'certificate-expired', async () => {
      const old = await issued(new Date(Date.now() - 3 * 86_400_000));
      expect(await greetWith(old, address)).toMatchObject(isGone);
    });
    await refused(run, 'unknown-authority', async () => {
      const stranger = { ...others.of('worker').read(), ca };
      expect(await greetWith(stranger, address)).toMatchObject(isGone);
    });
    for (const role of ['client', 'coordinator'] as const)
      await refused(run, 'role', async () =>
        expect(await greetWith(certs.of(role).read(), address)).toMatchObject({ code: status.PERMISSION_DENIED }),
      );
    // They serve, and may call nobody.
    for (const role of ['nats', 'ps'] as const)
      await refused(run, 'certificate', async () =>
        expect(await greetWith(certs.of(role).read(), address)).toMatchObject(isGone),
      );
    const [host = '', port = ''] = address.split(':');
    await refused(run, 'handshake', () =>
      send(connectPlain(Number(port), host), Buffer.from('GET / HTTP/1.1\r\nHost: here\r\n\r\n')),
    );
    await refused(run, 'malformed', () => {
      const tls = { ...certs.of('worker').read(), host, port: Number(port), ALPNProtocols: ['h2'] };
      return send(connectTls(tls), Buffer.alloc(4_096, 0xa5));
    });

    await run.worker(good('a'));
    await run.ended;
    expect(parametersAt(run.folder, 8)).toBe(final);
  });

  it('refuses what a worker may not do, and ends as if it had not been tried', async () => {
    const { final } = await suite.undisturbed();
    const run = secured();
    const { grpc: address } = await run.announced();
    const tls = certs.of('worker');
    const { run: name, jobSha256 } = run.folder.identity();
    /** A connection whose calls say this of themselves. */
    const saying = (said: ConstructorParameters<typeof CallIdentity>[0]): ParameterServiceClient => {
      const client = connectParameters(address, { tls, identity: new CallIdentity(said) });
      onTestFinished(() => client.close());
      return client;
    };
    const id = { run: name, generation: 1, lineage: 1, step: 0, index: 0, attempt: 1, evaluation: false };
    const header = { unit: id, version: { generation: 1, lineage: 1, step: 0 }, examples: 0, worker: 'a' };
    const push = (client: ParameterServiceClient, value: Partial<GradientHeader>) =>
      new Promise((resolve, reject) => {
        const call = client.pushGradient((error, answer) => (error === null ? resolve(answer) : reject(error)));
        call.write({ message: { $case: 'header', value: value as GradientHeader } });
        call.end();
      });

    const canary = { worker: 'a', graph: 'g', sha256: 'aa'.repeat(32) };
    const evaluation = { unit: id, version: header.version, worker: 'a', records: [] };
    const version = { id: header.version, segments: ['decoder'], wireType: WireType.WIRE_TYPE_FLOAT32 };
    const calls: ((client: ParameterServiceClient) => Promise<unknown>)[] = [
      (client) => push(client, full(header)),
      (client) => ask((done) => client.checkCanary(canary, done)),
      (client) => ask((done) => client.pushEvaluation(evaluation, done)),
      (client) =>
        new Promise((resolve, reject) => client.pullVersion(version).on('error', reject).on('end', resolve).resume()),
    ];

    // Of a connection that greeted nobody, everything is refused.
    const stranger = saying({ run: name, jobSha256 });
    for (const call of calls)
      await refused(run, 'no-session', () =>
        expect(call(stranger)).rejects.toMatchObject({ code: status.UNAUTHENTICATED }),
      );

    // One that was let in speaks for itself and for this run.
    const worker = await run.worker(good('mallory', { deed: () => 'hold' }));
    await worker.answered;
    await eventually('a version is announced', () => worker.versions.length > 0);
    const phase = Phase.PHASE_DECODER_ONLY;
    const forbidden = { code: status.PERMISSION_DENIED };
    const token = await worker.token;
    for (const [said, reason] of [
      [{ jobSha256 }, 'other-run'],
      [{ run: 'other', jobSha256 }, 'other-run'],
      [{ run: name }, 'other-job'],
      [{ run: name, jobSha256: 'other' }, 'other-job'],
    ] as const) {
      const elsewhere = saying({ ...said, token });
      for (const call of calls)
        await refused(run, reason, () => expect(call(elsewhere)).rejects.toMatchObject(forbidden));
    }
    await refused(run, 'other-worker', () =>
      expect(worker.push(id, 1, phase, { worker: 'a' })).rejects.toMatchObject(forbidden),
    );
    await refused(run, 'other-run', () =>
      expect(worker.push({ ...id, run: 'other' }, 1, phase)).rejects.toMatchObject(forbidden),
    );
    await refused(run, 'malformed', () => expect(worker.canary('g', 'no hash')).rejects.toThrow());
    await refused(run, 'oversized', async () => {
      const { ca, key, cert } = tls.read();
      const careless = new ParameterServiceClient(address, credentials.createSsl(ca, key, cert), byName);
      const large = { ...canary, graph: 'g'.repeat(5_000_000) };
      const shown = new Metadata();
      shown.set(sessionHeader, token);
      shown.set(runHeader, name);
      shown.set(jobHeader, jobSha256);
      await expect(ask((done) => careless.checkCanary(large, shown, done))).rejects.toMatchObject({
        code: status.RESOURCE_EXHAUSTED,
      });
      careless.close();
    });
    const hash = 'cc'.repeat(32);
    expect(await worker.canary('g', hash)).toMatchObject({ accepted: true });

    // A certificate that names a worker is good for that one.
    const named = await run.worker(good('somebody', { tls: certs.of('worker-named') }));
    await refused(run, 'other-worker', () => named.gone);

    worker.die();
    const first = await run.worker(good('a'));
    await eventually('a gradient is taken', () => first.results.some((result) => !result.id.evaluation));
    // Another worker says again what was said; and what has long been applied.
    const second = await run.worker(good('b'));
    await second.answered;
    const taken = first.results.find((result) => !result.id.evaluation)?.id ?? id;
    const { http } = await run.announced();
    const replays = async (): Promise<number> => {
      const values = await scrape(http);
      return (values.get('showtell_units_duplicate_total') ?? NaN) + (values.get('showtell_units_stale_total') ?? NaN);
    };
    // Who asks again for want of an answer is told the same, and nothing follows from it.
    const mine = first.results.findLast((result) => !result.id.evaluation)?.id ?? id;
    const counted = await replays();
    const own = await first.push(mine, 7, phase);
    expect([Verdict.VERDICT_ACCEPTED, Verdict.VERDICT_STALE]).toContain(own.verdict);
    expect(await replays()).toBeGreaterThanOrEqual(counted + 1);
    const before = await replays();
    const again = await second.push(taken, 7, phase);
    expect([Verdict.VERDICT_DUPLICATE, Verdict.VERDICT_STALE]).toContain(again.verdict);
    await run.until('step', 3);
    const staleBefore = (await scrape(http)).get('showtell_units_stale_total') ?? NaN;
    expect(await second.push(taken, 7, phase)).toMatchObject({ verdict: Verdict.VERDICT_STALE });
    expect(await replays()).toBeGreaterThanOrEqual(before + 2);
    expect((await scrape(http)).get('showtell_units_stale_total')).toBeGreaterThan(staleBefore);
    const log = readFileSync(run.folder.at('logs', 'coordinator.log'), 'utf8').split('\n');
    const told = log.filter((line) => line.includes('"a gradient that is out of date"'));
    expect(told.some((line) => line.includes('"worker":"b"'))).toBe(true);
    await run.ended;
    expect(parametersAt(run.folder, 8)).toBe(final);
  });

  it('of another version, run, job or data set is refused on joining, and changes nothing', async () => {
    const { final } = await suite.undisturbed();
    const run = secured();
    const { http } = await run.announced();
    for (const [hello, reason] of [
      [{ version: '0.0.1' }, 'version'],
      [{ run: 'other' }, 'run'],
      [{ jobSha256: 'x' }, 'job'],
      [{ datasetDigest: 'x' }, 'data'],
    ] as const) {
      const worker = await run.worker(good('odd', { hello }));
      expect(await worker.answered).toMatchObject({ refusal: { code: `worker/other-${reason}` } });
      expect((await scrape(http)).get(`showtell_workers_refused_total{reason="${reason}"}`)).toBe(1);
      const log = readFileSync(run.folder.at('logs', 'coordinator.log'), 'utf8').split('\n');
      const told = log.filter((line) => line.includes('"a worker was refused"'));
      expect(told.at(-1)).toContain('"worker":"odd"');
    }
    await run.worker(good('a'));
    await run.ended;
    expect(parametersAt(run.folder, 8)).toBe(final);
  });
});

function full(header: object): GradientHeader {
  const rest = { tokens: 0, lossSum: 0, skipped: [], wireType: 1, segments: [], embeddingRows: [], slot: '' };
  return {
    ...rest,
    computeSeconds: 0,
    dataSeconds: 0,
    phase: Phase.PHASE_DECODER_ONLY,
    ...header,
  } as unknown as GradientHeader;
}

function ask<T>(call: (done: (error: ServiceError | null, answer: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => call((error, answer) => (error === null ? resolve(answer) : reject(error))));
}
