import { parseWorkerOptions } from '@showtell/worker/options.js';
import { describe, expect, it } from 'vitest';

const refusal = (...args: string[]): unknown => {
  try {
    return parseWorkerOptions(args);
  } catch (error) {
    return error;
  }
};

describe("a worker's options", () => {
  it.each(['localhost', 'localhost:99999', 'localhost:0', 'http://a:1'])('take no coordinator at %s', (address) => {
    expect(refusal('--coordinator', address, '--job', 'job.yaml')).toMatchObject({
      code: 'usage/invalid',
      exitCode: 64,
      message: expect.stringContaining(`--coordinator ${address}`) as string,
    });
  });

  it.each(['1K', '15M', '9999999999T', '1e9', '0'])('take no memory of %s', (size) => {
    expect(refusal('--run', 'a', '--max-memory', size)).toMatchObject({ code: 'usage/invalid', exitCode: 64 });
  });

  it('take an address and a size', () => {
    const parsed = parseWorkerOptions(['--coordinator', '[::1]:50051', '--job', 'j', '--max-memory', '16M']);
    expect(parsed).toMatchObject({ run: { coordinator: '[::1]:50051', job: 'j' }, maxMemory: 16 * 1024 ** 2 });
  });
});
