import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { statusOf } from '@showtell/coordinator/cli/run-status.js';
import { CommandResponse } from '@showtell/shared/generated/showtell/v1/control.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { version } from '@showtell/shared/version.js';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { startTestNats, type TestNats } from '../../support/nats-server.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { killStarted, startShowtell } from '../worker/processes.js';

let nats: TestNats;
let bus: NatsConnection;
beforeAll(async () => {
  nats = await startTestNats();
  bus = await connect({ servers: nats.url });
});
afterAll(async () => {
  await killStarted();
  await bus.close();
  await nats[Symbol.asyncDispose]();
});

let runs = 0;

/** A run whose coordinator is this process, if it were one. */
function announcedRun(natsUrl: string): { folder: RunFolder; run: string } {
  const folder = new RunFolder(join(temporaryFolder(), 'run'));
  const run = `odd-${process.pid}-${runs++}`;
  const hash = 'ab'.repeat(32);
  const hashes = { jobSha256: hash, datasetDigest: hash, vocabularySha256: hash, encoderWeightsSha256: null };
  folder.begin({ run, created: new Date().toISOString(), version, forkedFrom: null, ...hashes }, parseJob(null));
  const announced = folder.announceCoordinator({ generation: 1, grpc: '127.0.0.1:1', nats: natsUrl, http: '' });
  onTestFinished(() => announced[Symbol.dispose]());
  return { folder, run };
}

const saying = (statusJson: string): Uint8Array => CommandResponse.encode({ ok: true, error: '', statusJson }).finish();
const status = {
  generation: 1,
  lineage: 1,
  step: 3,
  totalSteps: 8,
  phase: 'decoder-only',
  evaluation: null,
  workers: [],
};

it.each<[what: string, answer: (run: string) => Uint8Array, detail: string]>([
  ['is no message', () => Buffer.from([0xff, 0xff, 0xff]), 'its answer cannot be read'],
  ['holds nothing', () => Buffer.alloc(0), 'its answer cannot be read'],
  ['is no JSON', () => saying('<html>'), 'its answer cannot be read'],
  ['is of JSON that says nothing', () => saying('null'), 'its answer cannot be read'],
  ['is of another shape', (run) => saying(JSON.stringify({ run, state: 'training' })), 'its answer cannot be read'],
  [
    'is of another run',
    () => saying(JSON.stringify({ ...status, run: 'b', state: 'training' })),
    'its answer cannot be read',
  ],
  ['is a refusal', () => CommandResponse.encode({ ok: false, error: 'not now', statusJson: '' }).finish(), 'not now'],
])('an answer that %s is told from a run’s status', async (_, answer, detail) => {
  const { folder, run } = announcedRun(nats.url);
  const answering = bus.subscribe(`showtell.${run}.command`, {
    callback: (_error, message) => void message.respond(answer(run)),
  });
  await bus.flush();
  await expect(statusOf(folder)).rejects.toMatchObject({
    code: 'run/not-answering',
    exitCode: 69,
    facts: { run, detail },
  });
  answering.unsubscribe();
});

it('showtell status says so, without a fault of its own; and also where nobody answers, or what is no NATS server', async () => {
  const odd = announcedRun(nats.url);
  bus.subscribe(`showtell.${odd.run}.command`, {
    callback: (_error, message) => void message.respond(saying(JSON.stringify({ run: odd.run }))),
  });
  await bus.flush();
  const silent = announcedRun(nats.url);
  const web = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void web.close());
  const other = announcedRun(`nats://127.0.0.1:${(web.address() as AddressInfo).port}`);
  const shown = [odd, silent, other].map(({ folder }) => startShowtell('status', folder.path));
  expect(await Promise.all(shown.map(({ ended }) => ended)), shown.map((each) => each.output()).join('\n')).toEqual([
    69, 69, 69,
  ]);
  const [first, second, third] = shown.map((each) => each.output());
  expect(first).toContain(`The coordinator of run ${odd.run} does not answer: its answer cannot be read.`);
  expect(second).toContain(`The coordinator of run ${silent.run} does not answer: nobody listens there.`);
  expect(third).toMatch(/No NATS server answers at nats:/);
});
