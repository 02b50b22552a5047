import { Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { random } from '@showtell/shared/random.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { ParameterClient } from '@showtell/worker/parameters/client.js';
import { expect, it } from 'vitest';
import type { OpenShard } from '@showtell/coordinator/parameter-server/parameter-server.js';
import { RemoteShard } from '@showtell/coordinator/parameter-server/remote-shard.js';
import { serveShard } from '@showtell/coordinator/parameter-server/serve-shard.js';
import { openShardMetrics } from '@showtell/coordinator/parameter-server/shard-metrics.js';
import { openLog } from '@showtell/shared/service/log.js';
import { MeddlingProxy } from '../../faults/meddling-proxy.js';
import { job, jobSha256, layout, randomGradient, specs, startCluster, unitGradient } from './fixture.js';
import { hashSegments } from './reference.js';

/** One step of three units by a worker behind a proxy, which does its harm before each exchange. */
async function stepThrough(harm: (proxy: MeddlingProxy) => void): Promise<{ parameters: string; seen: string }> {
  await using cluster = await startCluster({ job: job(), sharedMemory: null });
  await using proxy = await MeddlingProxy.open(Number(cluster.address.split(':')[1]), 'bytes', random(5, 'damage'));
  const service = connectParameters(`127.0.0.1:${proxy.port}`);
  const worker = await ParameterClient.open({ service, layout, worker: 'w', wire: 'float32' });
  const done = cluster.server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
  const { version } = cluster.server;
  for (const index of [0, 1, 2]) {
    harm(proxy);
    const answer = await worker.push(unitGradient(version, index, randomGradient(index).dense));
    expect(answer).toMatchObject({ verdict: Verdict.VERDICT_ACCEPTED, way: 'grpc' });
  }
  await done;
  harm(proxy);
  const { segments } = await worker.pull(cluster.server.version);
  const pinned = cluster.server.pin();
  const { parameters } = await pinned.read();
  const outcome = { parameters: hashSegments(layout, parameters), seen: hashSegments(layout, segments) };
  pinned.release();
  await worker.close();
  service.close();
  return outcome;
}

it('a bit that flips in a gradient, or in the parameters, on their way costs time and no bit of the result', async () => {
  const sound = await stepThrough(() => undefined);
  expect(sound.seen).toBe(sound.parameters);
  let left = 0;
  const harmed = await stepThrough((proxy) => {
    left += proxy.stopFlipping();
    // What is as large is tensors, but for a few bytes.
    proxy.flip(2, 8_192);
  });
  expect(left).toBe(0);
  expect(harmed).toEqual(sound);
});

it.each([
  ['nothing', false],
  ['a bit of the values', true],
])('where %s flips between coordinator and shard, the shard is lost, and never another', async (_, flips) => {
  const log = openLog({ fields: {}, level: 'silent' });
  const where = { host: '127.0.0.1', port: 0, series: openShardMetrics().series, log };
  await using host = await serveShard({ ...where, parametersOf: () => ({ specs, layout }) });
  await using proxy = await MeddlingProxy.open(Number(host.address.split(':')[1]), 'bytes', random(5, 'damage'));
  if (flips) proxy.flip(1, 8_192);
  const open: OpenShard = (part) =>
    RemoteShard.open(`127.0.0.1:${proxy.port}`, { ...part, jobSha256 }, () => undefined);
  const opening = startCluster({ job: job(), divided: { shards: 1, open } });
  if (flips) await expect(opening).rejects.toMatchObject({ code: 'parameters/shard-lost' });
  else await (await opening)[Symbol.asyncDispose]();
});
