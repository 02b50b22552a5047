import sharp from 'sharp';
import { expect, it } from 'vitest';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { PictureThreads } from '@showtell/worker/caption/picture-threads.js';

it('begin no picture that nobody waits for any more', async () => {
  const job = parseJob({ name: 'p', engine: { name: 'wasm' } });
  await using threads = await PictureThreads.open(job, { maxMegapixels: 50, setting: '--max-megapixels' }, null);
  const large = await sharp({ create: { width: 6000, height: 6000, channels: 3, background: '#204060' } })
    .jpeg()
    .toBuffer();
  // Each message hands over its own copy.
  const read = (over?: AbortSignal) => threads.read(new Uint8Array(large), 'a picture', true, over);

  let began = performance.now();
  await read();
  const one = performance.now() - began;

  began = performance.now();
  const clients = Array.from({ length: 30 }, () => new AbortController());
  const left = clients.map(({ signal }) => read(signal));
  const first = read();
  for (const client of clients) client.abort(new Error('the client has gone'));
  for (const each of left) await expect(each).rejects.toThrow('the client has gone');
  expect(await first).toMatchObject({ width: 6000 });
  // At most those that the threads had begun are decoded besides, not thirty.
  expect(performance.now() - began).toBeLessThan(10 * one);
  await expect(read(clients[0]?.signal)).rejects.toThrow('the client has gone');
});
