import { expect, it } from 'vitest';
import type { ScoredCaption } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { Captionable } from '@showtell/worker/caption/captioner.js';
import { CaptionQueue } from '@showtell/worker/serve/caption-queue.js';

/** A captioner whose batches end when they are told to. */
function scripted() {
  const batches: { sizes: number; finish: () => void; fail: (error: Error) => void }[] = [];
  const caption = (pictures: readonly Captionable[]) =>
    new Promise<ScoredCaption[][]>((resolve, reject) => {
      const captions = pictures.map(({ beam }) => [
        { caption: String(beam), logProbability: -1, wordProbabilities: [] },
      ]);
      batches.push({ sizes: pictures.length, finish: () => resolve(captions), fail: reject });
    });
  return { batches, captioner: { caption, batch: 3 } };
}

const never = new AbortController().signal;
const image = new Float32Array(1);
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('computes one at once, and together what came meanwhile, each with its own captions', async () => {
  const { batches, captioner } = scripted();
  const computed: number[] = [];
  const queue = new CaptionQueue(captioner, { computed: (n) => computed.push(n), failed: () => undefined });
  const answers = [1, 2, 3, 4, 5].map((beam) => queue.caption({ image, beam }, never));
  expect(batches.map(({ sizes }) => sizes)).toEqual([1]);
  batches[0]?.finish();
  await settle();
  batches[1]?.finish();
  await settle();
  batches[2]?.finish();
  expect((await Promise.all(answers)).map(([best]) => best?.caption)).toEqual(['1', '2', '3', '4', '5']);
  expect(computed).toEqual([1, 3, 1]);
});

it('computes nothing for a request that is over before its turn', async () => {
  const { batches, captioner } = scripted();
  const queue = new CaptionQueue(captioner, { computed: () => undefined, failed: () => undefined });
  const first = queue.caption({ image, beam: 1 }, never);
  const gone = new AbortController();
  const second = queue.caption({ image, beam: 2 }, gone.signal);
  const third = queue.caption({ image, beam: 3 }, never);
  gone.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  batches[0]?.finish();
  await settle();
  expect(batches[1]?.sizes).toBe(1);
  batches[1]?.finish();
  expect([(await first)[0]?.caption, (await third)[0]?.caption]).toEqual(['1', '3']);
});

it('fails the requests of a batch that fails, and goes on', async () => {
  const { batches, captioner } = scripted();
  const failures: unknown[] = [];
  const queue = new CaptionQueue(captioner, { computed: () => undefined, failed: (error) => failures.push(error) });
  const first = queue.caption({ image, beam: 1 }, never);
  batches[0]?.fail(new Error('no memory'));
  await expect(first).rejects.toThrow('no memory');
  expect(failures).toHaveLength(1);
  const second = queue.caption({ image, beam: 2 }, never);
  batches[1]?.finish();
  expect(await second).toHaveLength(1);
});
