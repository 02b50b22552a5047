import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCerts, type CertsOptions } from '@showtell/coordinator/security/make-certs.js';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';

let root: string;
let directory: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'showtell-make-certs-'));
  directory = join(root, 'a', 'certs');
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
});

function make(more: Partial<CertsOptions> = {}): ReturnType<typeof makeCerts> {
  return makeCerts({ directory, hosts: [], days: 1, buckets: undefined, workers: [], renew: false, ...more });
}

describe('makeCerts', () => {
  it.each<Partial<CertsOptions>>([
    ...['x/../../../evil', '..', '.hidden', 'a/b', '', 'a b', 'ä', 'a\n', 'x'.repeat(64)].map((name) => ({
      workers: [name],
    })),
    ...['x"] } injected', 'a.b', 'a.>', '*', '', 'x'.repeat(129)].map((name) => ({ buckets: ['good', name] })),
    ...['a b', 'a/b', '', '-a', 'a..b', 'a,DNS:b', '1.2.3', '1.2.3.400', 'fe80::1%eth0', 'a:50051', 'x'.repeat(64)].map(
      (name) => ({ hosts: [name] }),
    ),
  ])('refuses %j before anything is written', async (names) => {
    await expect(make(names)).rejects.toMatchObject({ code: 'usage/invalid', exitCode: 64 });
    expect(readdirSync(root)).toEqual([]);
  });

  it('takes the names that there are', async () => {
    const hosts = ['nats.lab', '*.lab', 'my_nats', '10.0.0.1', 'fd00::1', '0123456789ab', 'x'.repeat(63)];
    await make({ hosts, buckets: ['showtell-data', 'a_B'], workers: ['worker-node1.lab-77', 'a'] });
    expect(existsSync(join(directory, 'worker-a', 'tls.key'))).toBe(true);
  });
});
