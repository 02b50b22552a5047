import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { stringify } from 'yaml';
import { Connection } from '@showtell/coordinator/kubernetes/cluster/connection.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

it('asks by one connection, and by another where the server has closed it meanwhile', async () => {
  const folder = temporaryFolder();
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name)) as [string, string];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const pair = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', certificate, '-days', '1'];
  execFileSync('openssl', ['req', '-x509', ...pair, ...subject], { stdio: 'ignore' });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) =>
    response.end(JSON.stringify({ asked: request.url })),
  );
  let connections = 0;
  server.on('secureConnection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const kubeconfig = join(folder, 'kubeconfig');
  const address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(
    kubeconfig,
    stringify({
      clusters: [{ name: 'c', cluster: { server: address, 'certificate-authority': certificate } }],
      users: [{ name: 'u', user: { token: 'secret' } }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      'current-context': 'x',
    }),
  );
  vi.stubEnv('KUBECONFIG', kubeconfig);
  try {
    const connection = Connection.open();
    const ask = (path: string): Promise<unknown> => connection.request({ method: 'GET', path });
    for (const path of ['/a', '/b', '/c']) expect(await ask(path)).toEqual({ asked: path });
    expect(connections).toBe(1);
    server.closeAllConnections();
    // In the same turn: the client has not heard of it yet.
    expect(await ask('/d')).toEqual({ asked: '/d' });
    expect(connections).toBe(2);
  } finally {
    vi.unstubAllEnvs();
    server.closeAllConnections();
    server.close();
  }
});
