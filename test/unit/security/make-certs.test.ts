import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { certsIn } from '@showtell/coordinator/security/certs-there.js';
import { makeCerts, type CertsOptions } from '@showtell/coordinator/security/make-certs.js';
import { roles } from '@showtell/shared/security/role.js';
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

const at = (...names: string[]): string => join(directory, ...names);
const content = (...names: string[]): string => readFileSync(at(...names), 'utf8');
const certificate = (folder: string): X509Certificate => new X509Certificate(content(folder, 'tls.crt'));
const natsKey = (folder: string): string => content(folder, 'nats.nk');

/** Every file with its content. */
const state = (): [string, string][] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [join(entry.parentPath, entry.name), readFileSync(join(entry.parentPath, entry.name), 'utf8')]);

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

  it('renews every certificate that is there, and adds to hosts, buckets and workers', async () => {
    await make({ hosts: ['one.lab', 'fd00::1'], buckets: ['one'], workers: ['alice'] });
    const [before, ofAlice] = [natsKey('worker'), certificate('worker-alice').fingerprint256];
    await make({ renew: true, hosts: ['two.lab'], buckets: ['two'], workers: ['bob'] });
    for (const host of ['one.lab', 'two.lab']) expect(certificate('nats').checkHost(host), host).toBe(host);
    const names = certificate('coordinator').subjectAltName?.split(', ') ?? [];
    expect(names.filter((name) => name.startsWith('IP'))).toHaveLength(3);
    expect(certificate('worker-alice').fingerprint256).not.toBe(ofAlice);
    expect(certificate('worker-bob').subjectAltName).toBe('URI:spiffe://showtell/worker/bob');
    expect([natsKey('worker'), natsKey('worker-alice'), natsKey('worker-bob')]).toEqual([before, before, before]);
    for (const bucket of ['one', 'two']) expect(content('nats', 'nats.conf')).toContain(`STREAM.INFO.OBJ_${bucket}"`);
  });

  it('writes nats.conf anew when a role gets another key, and leaves it alone otherwise', async () => {
    await make({ buckets: ['one'] });
    writeFileSync(at('nats', 'nats.conf'), `${content('nats', 'nats.conf')}# mine\n`);
    await make({ renew: true, buckets: ['one'] });
    expect(content('nats', 'nats.conf')).toContain('# mine');
    rmSync(at('worker', 'nats.nk'));
    await make({ renew: true });
    expect(content('nats', 'nats.conf')).toContain(certsIn(directory).natsKeys.get('worker')?.publicKey);
    expect(content('nats', 'nats.conf')).toContain('STREAM.INFO.OBJ_one"');
  });

  it.each([
    ['coordinator', 'tls.crt'],
    ['worker', 'nats.nk'],
  ])('names a broken %s/%s before it renews anything', async (folder, file) => {
    await make();
    writeFileSync(at(folder, file), 'garbage');
    const before = state();
    const expected = { code: 'certs/unreadable', message: expect.stringContaining(at(folder, file)) as string };
    await expect(make({ renew: true })).rejects.toMatchObject(expected);
    expect(state()).toEqual(before);
  });

  it.each(['ca.crt', 'ca.key'])('does not make an authority over one without %s', async (file) => {
    await make();
    rmSync(at(file));
    const before = state();
    for (const renew of [false, true])
      await expect(make({ renew })).rejects.toMatchObject({
        code: 'certs/no-authority',
        message: expect.stringContaining(`${file} is not there`) as string,
      });
    expect(state()).toEqual(before);
  });

  it('says of a place that cannot be written what it is', async () => {
    mkdirSync(join(root, 'a'));
    writeFileSync(join(root, 'a', 'file'), '');
    for (const place of [join(root, 'a', 'file', 'x'), join(root, 'a', 'file'), '/dev/null'])
      await expect(make({ directory: place }), place).rejects.toMatchObject({ code: 'file/unwritable', exitCode: 73 });
  });

  it('tells of certificates that end with the authority', async () => {
    expect((await make()).map(({ isCut }) => isCut)).toEqual(roles.map(() => false));
    const [first] = await make({ renew: true, days: 1_000_000 });
    const { validTo } = new X509Certificate(content('ca.crt'));
    expect(first).toMatchObject({ isCut: true, until: new Date(validTo) });
  });
});
