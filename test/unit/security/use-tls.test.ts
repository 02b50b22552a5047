import { tlsVariable, useTls } from '@showtell/shared/security/tls-folder.js';
import { afterEach, describe, expect, it, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('useTls', () => {
  it('takes an empty --tls for a mistake, and an empty variable for none', () => {
    vi.stubEnv(tlsVariable, '');
    expect(() => useTls('client', '')).toThrow(expect.objectContaining({ code: 'usage/invalid', exitCode: 64 }));
    expect(() => useTls('client', undefined)).not.toThrow();
    expect(process.env[tlsVariable]).toBe('');
  });
});
