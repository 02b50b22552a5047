import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { newRun, RunningCoordinator, tinyData, tinyJob, type TinyData } from '../../support/coordinator-cluster.js';

let data: TinyData;
beforeAll(async () => {
  data = await tinyData();
});
afterAll(() => data[Symbol.asyncDispose]());

/** A server that takes every connection. @returns its address, as NATS' */
async function serverThat(greets: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    greets(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `nats://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const info = { server_id: 'S', version: '2.10.0', proto: 1, headers: true, max_payload: 1_048_576, jetstream: true };

it.concurrent.each<[string, (socket: Socket) => void]>([
  ['says nothing', (socket) => socket.resume()],
  [
    'greets, and then answers nothing that is asked of it',
    (socket) => {
      socket.write(`INFO ${JSON.stringify(info)}\r\n`);
      socket.on('data', (bytes) => {
        if (/^PING\r\n/m.test(bytes.toString())) socket.write('PONG\r\n');
      });
    },
  ],
])('a coordinator whose NATS server %s ends with the code by which it is started again', async (_, greets) => {
  const url = await serverThat(greets);
  const job = tinyJob(data.dataset);
  const coordinator = new RunningCoordinator(newRun(data.dataset, job), data.dataset, job, url);
  await expect(coordinator.ended).rejects.toMatchObject({
    code: 'bus/unreachable',
    exitCode: 69,
    facts: { servers: url },
  });
});
