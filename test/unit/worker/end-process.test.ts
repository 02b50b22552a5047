import { expect, it } from 'vitest';
import { ShowtellError } from '@showtell/shared/errors.js';
import { failureOf } from '@showtell/worker/end-process.js';

async function thrownBy(body: () => unknown): Promise<unknown> {
  try {
    await body();
  } catch (error) {
    return error;
  }
  throw new Error('it went well');
}

it('memory that JavaScript cannot get is told as such, with its exit code', async () => {
  const failure = await thrownBy(() => new ArrayBuffer(2 ** 50));
  expect(failureOf(failure, 'showtell-worker')).toMatchObject({
    code: 'engine/out-of-memory',
    exitCode: 71,
    facts: { call: 'showtell-worker' },
  });
});

it('what went wrong first is told, whatever else did while things were closed', async () => {
  const first = new ShowtellError('engine/thread-died', { detail: 'exit code 1' });
  const failure = await thrownBy(async () => {
    await using _engine = { [Symbol.asyncDispose]: () => Promise.reject(new Error('it cannot be closed')) };
    throw first;
  });
  expect(failure).not.toBe(first);
  expect(failureOf(failure, 'showtell-worker')).toBe(first);
});
