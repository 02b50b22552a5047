import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type GradientHeader, Verdict, WireType } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { expect, it } from 'vitest';
import { job, randomGradient, startCluster, unitGradient } from './fixture.js';

it('a worker that is killed while it sends a gradient says nothing against its unit', async () => {
  const verdicts: Verdict[] = [];
  let begin = (): void => undefined;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  await using cluster = await startCluster({
    job: job(),
    onHeader: () => begin(),
    onVerdict: (verdict) => verdicts.push(verdict),
  });
  const { version } = cluster.server;
  // What the kernel does with a killed process's connections: it closes them.
  const sockets: Socket[] = [];
  const way = createServer((socket) => {
    const onward = connect(Number(cluster.address.split(':')[1]), '127.0.0.1');
    sockets.push(onward);
    socket.on('error', () => undefined).pipe(onward);
    onward.on('error', () => undefined).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(way, 'listening');
  const killed = connectParameters(`127.0.0.1:${(way.address() as AddressInfo).port}`);
  const gradient = unitGradient(version, 0, randomGradient(0).dense);
  const header: GradientHeader = {
    ...{ unit: gradient.unit, version: version.id, phase: version.phase, worker: 'killed', examples: 4 },
    ...{ tokens: 1, lossSum: 1, skipped: [], wireType: WireType.WIRE_TYPE_FLOAT32 },
    ...{ segments: ['decoder', 'embedding', 'encoder', 'statistics'], embeddingRows: [], slot: '', atShards: false },
    ...{ computeSeconds: 0, dataSeconds: 0 },
  };
  const call = killed.pushGradient(() => undefined);
  call.on('error', () => undefined);
  call.write({ message: { $case: 'header', value: header } });
  await begun;
  for (const socket of sockets) socket.destroy();
  const other = await cluster.connect('other', false);
  expect(await other.push(gradient)).toMatchObject({ verdict: Verdict.VERDICT_ACCEPTED });
  expect(verdicts).toEqual([Verdict.VERDICT_ACCEPTED]);
  killed.close();
  way.close();
});
