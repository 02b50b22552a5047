import { afterEach, describe, expect, it, vi } from 'vitest';
import { reportFailure } from '@showtell/coordinator/cli/report-failure.js';
import { ShowtellError } from '@showtell/shared/errors.js';

function told(error: unknown): { code: number; text: string } {
  let text = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  return { code: reportFailure(error), text };
}

describe('a failure', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO'])('of the disk (%s) is the disk’s, whoever met it', (code) => {
    const { code: exit, text } = told(Object.assign(new Error(`${code}: no luck`), { code, path: '/runs/a/job.json' }));
    expect(exit).toBe(73);
    expect(text).toContain(`/runs/a/job.json cannot be written: ${code}: no luck.`);
    expect(text).toContain('that the disk has room');
    expect(text).not.toContain('fault of showtell');
  });

  it('of the table keeps its code, and any other is showtell’s', () => {
    expect(told(new ShowtellError('usage/invalid', { detail: 'no', command: 'train' })).code).toBe(64);
    expect(told(new TypeError('x is not a function'))).toMatchObject({
      code: 70,
      text: expect.stringContaining('fault of showtell') as string,
    });
    expect(told(null).code).toBe(70);
  });
});
