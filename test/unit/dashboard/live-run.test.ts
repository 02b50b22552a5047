import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { LiveRun } from '@showtell/coordinator/dashboard/live-run.js';
import type { RunNow } from '@showtell/coordinator/dashboard/page/payload.js';
import type { RunFiles } from '@showtell/coordinator/dashboard/run-files.js';
import { eventually } from '../../support/eventually.js';

/** A run of which only is counted how often it is looked at. */
async function watched(before: (request: IncomingMessage) => Promise<unknown> = async () => undefined) {
  const looks = { count: 0, arrived: 0 };
  const history = { revision: 1, last: 0, rowsAfter: () => [] };
  const files = { refresh: async () => undefined, history, summary: null } as unknown as RunFiles;
  const live = new LiveRun(files, async () => {
    looks.count++;
    return {} as RunNow;
  });
  const server = createServer((request, response) => {
    looks.arrived++;
    void before(request).then(() => live.watch(request, response, { revision: 1, last: 0 }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    await live.close();
    server.closeAllConnections();
    server.close();
  });
  const open = () => get(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).on('error', () => undefined);
  return { live, looks, open };
}

it('does not look at a run for a browser that was gone before it could be told anything', async () => {
  const { live, looks, open } = await watched((request) => new Promise((resolve) => request.on('close', resolve)));
  const request = open();
  await eventually('it is there', () => looks.arrived === 1);
  request.destroy();
  await delay(300);
  const before = looks.count;
  await delay(1_200);
  expect(looks.count).toBe(before);
  expect(live.watchers).toBe(0);
});

it('counts browsers from the moment they ask, and takes none when it is closed', async () => {
  const { live, looks, open } = await watched();
  const answers = [open(), open(), open()].map((request) => once(request, 'response'));
  await Promise.all(answers);
  expect(live.watchers).toBe(3);
  await live.close();
  expect(live.watchers).toBe(0);
  const [late] = (await once(open(), 'response')) as [IncomingMessage];
  await once(late.resume(), 'end');
  const before = looks.count;
  await delay(1_200);
  expect([live.watchers, looks.count]).toEqual([0, before]);
});
