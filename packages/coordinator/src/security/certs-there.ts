import { X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { natsUsers, servers, type NatsUser } from '@showtell/shared/security/role.js';
import { tlsFiles } from '@showtell/shared/security/tls-files.js';
import { fromSeed } from 'nkeys.js';
import { workerName } from './certs-names.js';
import { bucketsIn, natsConfigurationFile } from './nats-configuration.js';

/** The key by which NATS knows a role. */
export interface NatsKey {
  readonly seed: string;
  readonly publicKey: string;
}

/** What stays when certificates are renewed. */
export interface CertsThere {
  readonly hosts: readonly string[];
  /** Workers with a certificate of their own. */
  readonly workers: readonly string[];
  readonly natsKeys: ReadonlyMap<NatsUser, NatsKey>;
  /** nats.conf; null: there is none. */
  readonly configuration: string | null;
  readonly buckets: readonly string[];
}

export const nothingThere: CertsThere = {
  hosts: [],
  workers: [],
  natsKeys: new Map(),
  configuration: null,
  buckets: [],
};

/** @throws ShowtellError `certs/unreadable` */
export function certsIn(directory: string): CertsThere {
  const configuration = read(join(directory, 'nats', natsConfigurationFile), (content) => content);
  const natsKeys = natsUsers.flatMap((role) => {
    const key = read(join(directory, role, tlsFiles.nkey), natsKeyOf);
    return key === null ? [] : [[role, key] as const];
  });
  return {
    hosts: servers.flatMap((role) => read(join(directory, role, tlsFiles.certificate), hostsOf) ?? []),
    workers: workersIn(directory),
    natsKeys: new Map(natsKeys),
    configuration,
    buckets: configuration === null ? [] : bucketsIn(configuration),
  };
}

function workersIn(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((folder) => folder.startsWith('worker-') && existsSync(join(directory, folder, tlsFiles.certificate)))
    .map((folder) => folder.slice('worker-'.length))
    .filter((name) => workerName.test(name));
}

function hostsOf(certificate: string): readonly string[] {
  const { subjectAltName = '' } = new X509Certificate(certificate);
  return subjectAltName.split(', ').flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? []);
}

function natsKeyOf(seed: string): NatsKey {
  return { seed, publicKey: fromSeed(Buffer.from(seed.trim())).getPublicKey() };
}

/** @returns null when there is no such file */
function read<T>(file: string, parse: (content: string) => T): T | null {
  try {
    return parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new ShowtellError('certs/unreadable', { file, detail: message }, { cause });
  }
}
