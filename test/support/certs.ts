import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCerts, type CertsOptions } from '@showtell/coordinator/security/make-certs.js';
import type { Role } from '@showtell/shared/security/role.js';
import { TlsFolder } from '@showtell/shared/security/tls-folder.js';

/** A cluster's certificates in a folder that goes with them. */
export interface TestCerts extends Disposable {
  readonly directory: string;
  readonly of: (folder: Role | `worker-${string}`) => TlsFolder;
  readonly renew: (more?: Partial<CertsOptions>) => Promise<void>;
}

export async function testCerts(more: Partial<CertsOptions> = {}): Promise<TestCerts> {
  const directory = mkdtempSync(join(tmpdir(), 'showtell-certs-'));
  const options = { directory, hosts: [], days: 1, buckets: undefined, workers: [], renew: false, ...more };
  await makeCerts(options);
  return {
    directory,
    of: (folder) => TlsFolder.open(join(directory, folder)),
    renew: async (other = {}) => {
      await makeCerts({ ...options, ...other, renew: true });
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
