import { ownId } from '@showtell/worker/own-id.js';
import { describe, expect, it } from 'vitest';

const alice = { role: 'worker', name: 'alice' } as const;
const anybody = { role: 'worker', name: null } as const;

describe('ownId', () => {
  it("is what was asked for, the certificate's, or made up", () => {
    expect(ownId('bob', null)).toBe('bob');
    expect(ownId('bob', anybody)).toBe('bob');
    expect(ownId(null, alice)).toBe('alice');
    expect(ownId('alice', alice)).toBe('alice');
    for (const certified of [null, anybody]) expect(ownId(null, certified)).toMatch(/^worker-.*-\d+$/);
  });

  it("is no other than the certificate's", () => {
    expect(() => ownId('bob', alice)).toThrow(
      expect.objectContaining({ code: 'usage/invalid', message: expect.stringContaining('--id alice') as string }),
    );
  });
});
