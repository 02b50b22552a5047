import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type SecureVersion } from 'node:tls';
import type { ServiceError } from '@grpc/grpc-js';
import { serveGrpc } from '@showtell/coordinator/serve-grpc.js';
import type {
  CheckCanaryResponse,
  ParameterServiceClient,
  ParameterServiceServer,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { TlsFolder } from '@showtell/shared/security/tls-folder.js';
import { expect, it, onTestFinished } from 'vitest';
import { testCerts } from '../../support/certs.js';
import { eventually } from '../../support/eventually.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const accepted: CheckCanaryResponse = { accepted: true, expectedSha256: '' };

it('renewed certificates are used for new connections, broken ones are not, and the old connection goes on', async () => {
  using certs = await testCerts();
  using others = await testCerts();
  const renewals: (Error | null)[] = [];
  const handlers = { checkCanary: (_, respond) => respond(null, accepted) } satisfies Partial<ParameterServiceServer>;
  const options = { host: '127.0.0.1', port: 0, tls: certs.of('coordinator'), onRefused: () => undefined };
  const server = await serveGrpc(
    { ...options, lookMs: 20, onRenewed: (fault) => void renewals.push(fault) },
    handlers as unknown as ParameterServiceServer,
  );
  onTestFinished(() => server[Symbol.asyncDispose]());
  const connected = (tls: TlsFolder): ParameterServiceClient => {
    const client = connectParameters(`127.0.0.1:${server.port}`, { tls });
    onTestFinished(() => client.close());
    return client;
  };
  const shown = (maxVersion: SecureVersion = 'TLSv1.3'): Promise<string> =>
    new Promise((resolve, reject) => {
      const files = { ...certs.of('worker').read(), host: '127.0.0.1', port: server.port, ALPNProtocols: ['h2'] };
      const socket = connect({ ...files, maxVersion, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
        socket.destroy();
      }).on('error', reject);
    });

  const old = connected(certs.of('worker'));
  expect(await asked(old)).toEqual(accepted);
  const before = await shown();
  await certs.renew();
  await eventually('the new certificate is shown', async () => (await shown()) !== before);
  expect(await asked(connected(certs.of('worker')))).toEqual(accepted);

  await expect(shown('TLSv1.2')).rejects.toThrow(/protocol/);

  const last = await shown();
  writeFileSync(certs.of('coordinator').file('key'), 'no key');
  await eventually('it is told', () => renewals.at(-1) instanceof Error);
  expect(await shown()).toBe(last);

  // Another authority: who has no certificate of it is not let in any more.
  const former = temporaryFolder();
  cpSync(certs.of('worker').path, former, { recursive: true });
  cpSync(others.directory, certs.directory, { recursive: true });
  await eventually('the new authority is trusted', () =>
    asked(connected(certs.of('worker'))).then(
      () => true,
      () => false,
    ),
  );
  cpSync(certs.of('worker').file('ca'), join(former, 'ca.crt'));
  const client = connected(TlsFolder.open(former));
  await expect(asked(client)).rejects.toMatchObject({ code: 14 });
  expect(await asked(old)).toEqual(accepted);
});

function asked(client: ParameterServiceClient): Promise<CheckCanaryResponse> {
  return new Promise((resolve, reject) =>
    client.checkCanary({ worker: 'a', graph: 'g', sha256: '' }, (error: ServiceError | null, answer) =>
      error === null ? resolve(answer) : reject(error),
    ),
  );
}
