import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { roles, type Role } from '@showtell/shared/security/role.js';
import { tlsFiles } from '@showtell/shared/security/tls-folder.js';
import { createUser, fromSeed } from 'nkeys.js';
import { Authority } from './authority.js';
import { checkNames, isHost } from './certs-names.js';
import { natsConfiguration, natsConfigurationFile, type NatsUser } from './nats-configuration.js';

export interface CertsOptions {
  readonly directory: string;
  /** By which coordinator and NATS are reached, besides this machine's own name and loopback. */
  readonly hosts: readonly string[];
  readonly days: number;
  /** Buckets with data that workers may read; undefined: as they are, or `showtell-data`. */
  readonly buckets: readonly string[] | undefined;
  /** Workers that get a certificate for their name alone. */
  readonly workers: readonly string[];
  /** Replace the roles' certificates by new ones of the authority that is there. */
  readonly renew: boolean;
}

const authorityKey = 'ca.key';

/**
 * Makes or renews a cluster's files: the authority, and a folder for each role that holds what the role needs and
 * no more. Keys are for their owner alone to read.
 *
 * @returns the folders written, of each what it is for
 * @throws ShowtellError `usage/invalid` for names that are none, `certs/exist`, `certs/no-authority`
 */
export async function makeCerts(options: CertsOptions): Promise<{ readonly folder: string; readonly until: Date }[]> {
  const { directory, renew, days, workers } = options;
  checkNames(options);
  if (!renew && existsSync(join(directory, tlsFiles.ca))) throw new ShowtellError('certs/exist', { folder: directory });
  const authority = renew ? await authorityIn(directory) : await newAuthority(directory);
  const { certificate: ca } = await authority.certified();
  const hosts = [...new Set([...hostsOf(options), ...ownNames()])];
  const nkeys = new Map<string, { readonly seed: string; readonly publicKey: string }>();
  const folders: { folder: string; role: Role; name: string | null }[] = [
    ...roles.map((role) => ({ folder: role, role, name: null })),
    ...workers.map((name) => ({ folder: `worker-${name}`, role: 'worker' as const, name })),
  ];
  const made = [];
  for (const { folder, role, name } of folders) {
    const path = join(directory, folder);
    mkdirSync(path, { recursive: true });
    const reached = role === 'coordinator' || role === 'nats' ? hosts : [];
    const { certificate, key } = await authority.issue({ role, name, hosts: reached, days });
    write(join(path, tlsFiles.ca), ca);
    write(join(path, tlsFiles.key), key, 'secret');
    write(join(path, tlsFiles.certificate), certificate);
    made.push({ folder: path, until: new Date(new X509Certificate(certificate).validTo) });
    if (role === 'nats') continue;
    const nkey = nkeys.get(role) ?? nkeyOf(join(directory, role, tlsFiles.nkey));
    nkeys.set(role, nkey);
    write(join(path, tlsFiles.nkey), nkey.seed, 'secret');
  }
  const publicKeys = Object.fromEntries([...nkeys].map(([role, { publicKey }]) => [role, publicKey]));
  const configuration = join(directory, 'nats', natsConfigurationFile);
  if (options.buckets !== undefined || !existsSync(configuration))
    write(
      configuration,
      natsConfiguration({
        nkeys: publicKeys as Record<NatsUser, string>,
        buckets: options.buckets ?? ['showtell-data'],
      }),
    );
  return made;
}

async function newAuthority(directory: string): Promise<Authority> {
  const authority = await Authority.create();
  const { certificate, key } = await authority.certified();
  mkdirSync(directory, { recursive: true });
  write(join(directory, authorityKey), key, 'secret');
  write(join(directory, tlsFiles.ca), certificate);
  return authority;
}

async function authorityIn(directory: string): Promise<Authority> {
  try {
    return await Authority.from({
      certificate: readFileSync(join(directory, tlsFiles.ca), 'utf8'),
      key: readFileSync(join(directory, authorityKey), 'utf8'),
    });
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new ShowtellError('certs/no-authority', { folder: directory, detail }, { cause });
  }
}

/** By which this machine is reached from itself. */
function ownNames(): readonly string[] {
  return [hostname(), 'localhost', '127.0.0.1', '::1'].filter(isHost);
}

/** Those given, or when renewing and none are, those of before. */
function hostsOf({ directory, hosts, renew }: CertsOptions): readonly string[] {
  const before = join(directory, 'coordinator', tlsFiles.certificate);
  if (hosts.length > 0 || !renew || !existsSync(before)) return hosts;
  const { subjectAltName = '' } = new X509Certificate(readFileSync(before));
  return subjectAltName.split(', ').flatMap((name) => /^(?:DNS|IP Address):(.+)$/.exec(name)?.[1] ?? []);
}

/** A key stays when certificates are renewed: it does not end. */
function nkeyOf(file: string): { seed: string; publicKey: string } {
  if (existsSync(file)) {
    const seed = readFileSync(file, 'utf8');
    return { seed, publicKey: fromSeed(Buffer.from(seed.trim())).getPublicKey() };
  }
  const pair = createUser();
  return { seed: `${Buffer.from(pair.getSeed()).toString('utf8')}\n`, publicKey: pair.getPublicKey() };
}

function write(file: string, content: string, kind: 'public' | 'secret' = 'public'): void {
  const beside = `${file}.${process.pid}.tmp`;
  writeFileSync(beside, content, { mode: kind === 'secret' ? 0o600 : 0o644 });
  renameSync(beside, file);
}
