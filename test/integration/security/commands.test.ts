import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { eventually } from '../../support/eventually.js';
import { LocalCluster } from '../../support/local-run.js';

const steps = { 'phases.decoderOnly.steps': 8, 'phases.joint.steps': 0 };

describe('the commands with --tls', () => {
  const local = LocalCluster.open();
  const certs = local.at('certs');

  beforeAll(async () => {
    await local.drawData();
    expect(await local.run(['certs', certs, '--days', '30', '--host', 'nats.lab'])).toMatchObject({ code: 0 });
  });

  it('certs gives each role what it needs, secrets to their owner alone, and overwrites nothing unasked', async () => {
    const contents = (folder: string): string[] => readdirSync(join(certs, folder)).sort();
    const role = ['ca.crt', 'nats.nk', 'tls.crt', 'tls.key'];
    expect(contents('.')).toEqual(['ca.crt', 'ca.key', 'client', 'coordinator', 'nats', 'ps', 'worker']);
    for (const folder of ['coordinator', 'worker', 'client']) expect(contents(folder)).toEqual(role);
    expect(contents('nats')).toEqual(['ca.crt', 'nats.conf', 'tls.crt', 'tls.key']);
    expect(contents('ps')).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
    const secrets = readdirSync(certs, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /\.(key|nk)$/.test(file),
    );
    expect(secrets).toHaveLength(9);
    for (const file of secrets) expect(statSync(join(certs, file)).mode & 0o777, file).toBe(0o600);

    const certificate = (of: string) => new X509Certificate(readFileSync(join(certs, of, 'tls.crt')));
    expect(certificate('worker').subjectAltName).toBe('URI:spiffe://showtell/worker');
    expect(certificate('nats').checkHost('nats.lab')).toBe('nats.lab');
    expect(Math.round((Date.parse(certificate('worker').validTo) - Date.now()) / 86_400_000)).toBe(30);

    const before = certificate('nats').fingerprint256;
    const configuration = readFileSync(join(certs, 'nats', 'nats.conf'), 'utf8');
    expect(await local.run(['certs', certs])).toMatchObject({ code: 73 });
    expect(certificate('nats').fingerprint256).toBe(before);
    expect(await local.run(['certs', certs, '--renew'])).toMatchObject({ code: 0 });
    expect(certificate('nats').fingerprint256).not.toBe(before);
    expect(certificate('nats').checkHost('nats.lab')).toBe('nats.lab');
    expect(readFileSync(join(certs, 'nats', 'nats.conf'), 'utf8')).toBe(configuration);
    expect(await local.run(['certs', local.at('nowhere'), '--renew'])).toMatchObject({ code: 66 });
  });

  it('train lets in those alone that have a certificate of the right role', async () => {
    const run = local.at('waiting');
    const training = local.train(run, { workers: 0, set: steps, args: ['--tls', certs] });
    await eventually('it is announced', () => new RunFolder(run).liveCoordinator() !== undefined);
    const told = await fetch(new URL('/metrics', new RunFolder(run).liveCoordinator()?.http));
    expect(await told.text()).toMatch(/^showtell_certificate_expiry_seconds\{role="coordinator"\} \d/mu);
    expect(await local.run(['status', run])).toMatchObject({ code: 77 });
    expect(await local.run(['status', run, '--tls', join(certs, 'worker')])).toMatchObject({ code: 78 });
    expect(await local.run(['status', run, '--tls', certs])).toMatchObject({ code: 0 });
    // As in the coordinator's Pod, where there is no other folder.
    for (const command of ['status', 'pause', 'resume'])
      expect(await local.run([command, run, '--tls', join(certs, 'coordinator')]), command).toMatchObject({ code: 0 });
    expect(await local.run(['stop', run, '--tls', join(certs, 'client')])).toMatchObject({ code: 0 });
    expect(await training.ended).toMatchObject({ code: 11 });
  });

  it('train, its nats-server, shards and workers speak TLS', async () => {
    const run = local.at('secured');
    await local.trained(run, { workers: 1, set: { ...steps, 'cluster.parameterShards': 2 }, args: ['--tls', certs] });
    const { run: name } = new RunFolder(run).identity();
    expect(readFileSync(join(run, 'logs', 'worker-1.log'), 'utf8')).toContain(name);
  });
});
