import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { roles } from '@showtell/shared/security/role.js';
import { tlsVariable, useTls } from '@showtell/shared/security/tls-folder.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { testCerts, type TestCerts } from '../../support/certs.js';

let others: TestCerts;
let certs: TestCerts;
beforeAll(async () => {
  others = await testCerts();
});
afterAll(() => others[Symbol.dispose]());
beforeEach(async () => {
  certs = await testCerts();
});

afterEach(() => {
  vi.unstubAllEnvs();
  certs[Symbol.dispose]();
});

/** What is said of the client's folder. */
function fault(): unknown {
  vi.stubEnv(tlsVariable, undefined);
  try {
    useTls('client', certs.directory);
    return null;
  } catch (error) {
    return error;
  }
}

const file = (name: string): string => join(certs.directory, 'client', name);

describe('useTls', () => {
  it('takes an empty --tls for a mistake, and an empty variable for none', () => {
    vi.stubEnv(tlsVariable, '');
    expect(() => useTls('client', '')).toThrow(expect.objectContaining({ code: 'usage/invalid', exitCode: 64 }));
    expect(() => useTls('client', undefined)).not.toThrow();
    expect(process.env[tlsVariable]).toBe('');
  });

  it('takes what certs made', () => {
    for (const role of roles) {
      vi.stubEnv(tlsVariable, undefined);
      expect(() => useTls(role, certs.directory), role).not.toThrow();
    }
  });

  it.each([
    ['tls.key', 'is no private key'],
    ['tls.crt', 'is no certificate'],
    ['ca.crt', 'is no certificate in PEM'],
    ['nats.nk', 'is no key for NATS'],
  ])('names a %s that is garbage', (name, text) => {
    writeFileSync(file(name), 'garbage');
    expect(fault()).toMatchObject({ code: 'tls/unusable', facts: { detail: `${name} ${text}` } });
  });

  it('names files that do not belong together', () => {
    const { ca, key } = certs.of('client').read();
    const other = others.of('client').read();
    writeFileSync(file('tls.key'), other.key);
    expect(fault()).toMatchObject({ code: 'tls/unusable', facts: { detail: 'tls.key is not the key of tls.crt' } });
    writeFileSync(file('tls.key'), key);
    writeFileSync(file('ca.crt'), other.ca);
    const detail = 'tls.crt is of another authority than ca.crt';
    expect(fault()).toMatchObject({ code: 'tls/unusable', facts: { detail } });
    // Both are trusted while one replaces the other.
    writeFileSync(file('ca.crt'), Buffer.concat([other.ca, ca]));
    expect(fault()).toBeNull();
  });

  it('waits for files that are just being renewed', async () => {
    const { key } = certs.of('client').read();
    writeFileSync(file('tls.key'), others.of('client').read().key);
    // useTls lets nothing else happen on this thread.
    const renewing = `const { writeFileSync } = require('node:fs');
      const { parentPort, workerData } = require('node:worker_threads');
      parentPort.postMessage('ready');
      setTimeout(() => writeFileSync(workerData.file, workerData.key), 100);`;
    const thread = new Worker(renewing, { eval: true, workerData: { file: file('tls.key'), key } });
    await once(thread, 'message');
    expect(fault()).toBeNull();
    await thread.terminate();
  });

  it.each(['tls.key', 'ca.crt', 'nats.nk'])('names a %s that is missing', (name) => {
    rmSync(file(name));
    expect(fault()).toMatchObject({ code: 'tls/incomplete', facts: { file: name } });
  });

  it('tells another role, a clock that is behind and an end apart, each with its remedy', () => {
    const worker = join(certs.directory, 'worker');
    expect(() => useTls('client', worker)).toThrow(
      expect.objectContaining({
        code: 'tls/other-role',
        message: `The certificate in ${worker} is for the role worker, not for client.`,
        remedy: expect.not.stringContaining('--renew') as string,
      }),
    );
    onTestFinished(() => void vi.useRealTimers());
    vi.useFakeTimers({ now: Date.now() - 7_200_000, toFake: ['Date'] });
    expect(fault()).toMatchObject({ code: 'tls/not-yet', remedy: expect.stringContaining('clock') as string });
    vi.setSystemTime(Date.now() + 3 * 86_400_000);
    expect(fault()).toMatchObject({ code: 'tls/unusable', remedy: expect.stringContaining('--renew') as string });
  });

  it('says whom the certificate names', async () => {
    await certs.renew({ workers: ['alice'] });
    vi.stubEnv(tlsVariable, undefined);
    expect(useTls('worker', join(certs.directory, 'worker-alice'))).toEqual({ role: 'worker', name: 'alice' });
  });
});
