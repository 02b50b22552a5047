import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { ShowtellError } from '@showtell/shared/errors.js';
import { natsUsers, roles, servers, type NatsUser, type Role } from '@showtell/shared/security/role.js';
import { tlsFiles } from '@showtell/shared/security/tls-files.js';
import { createUser } from 'nkeys.js';
import { unwritable } from '../new-file.js';
import { Authority } from './authority.js';
import { checkNames, isHost } from './certs-names.js';
import { certsIn, nothingThere, type CertsThere, type NatsKey } from './certs-there.js';
import { natsConfiguration, natsConfigurationFile } from './nats-configuration.js';

export interface CertsOptions {
  readonly directory: string;
  /** By which coordinator, shards and NATS are reached, besides this machine's own name, loopback and, renewed, those of before. */
  readonly hosts: readonly string[];
  readonly days: number;
  /** Buckets with data that workers may read, besides those of before; undefined: as they are, or `showtell-data`. */
  readonly buckets: readonly string[] | undefined;
  /** Workers that get a certificate for their name alone, besides those that have one. */
  readonly workers: readonly string[];
  /** Replace the roles' certificates by new ones of the authority that is there. */
  readonly renew: boolean;
}

const authorityKey = 'ca.key';

/** A role's folder that was written. */
export interface MadeCerts {
  readonly folder: string;
  readonly until: Date;
  /** It would be good for longer, but for the authority's end. */
  readonly isCut: boolean;
}

/** A file to write. */
interface Output {
  readonly file: string;
  readonly content: string;
  readonly isSecret?: true;
}

/**
 * Makes or renews a cluster's files: the authority, and a folder for each role that holds what the role needs and
 * no more. Keys are for their owner alone to read. All that is there is read before the first file is written.
 *
 * @throws ShowtellError `usage/invalid` for names that are none, `certs/exist`, `certs/no-authority`, `certs/unreadable`,
 * `file/unwritable`
 */
export async function makeCerts(options: CertsOptions): Promise<MadeCerts[]> {
  const { directory, renew } = options;
  checkNames(options);
  if (!renew) checkNoneIn(directory);
  const authority = renew ? await authorityIn(directory) : await Authority.create();
  const there = renew ? certsIn(directory) : nothingThere;
  const natsKeys = new Map(natsUsers.map((role) => [role, there.natsKeys.get(role) ?? newNatsKey()]));
  const outputs = renew ? [] : await authorityFiles(directory, authority);
  const made = [];
  for (const holder of holdersOf(directory, [...there.workers, ...options.workers])) {
    const { issued, files } = await filesOf(holder, authority, { natsKeys, hosts: hostsOf(options, there), options });
    outputs.push(...files);
    made.push(issued);
  }
  outputs.push(...configurationOf(options, there, natsKeys));
  for (const output of outputs) write(output);
  return made;
}

function checkNoneIn(directory: string): void {
  const [hasCertificate, hasKey] = [tlsFiles.ca, authorityKey].map((file) => existsSync(join(directory, file)));
  if (hasCertificate === true && hasKey === true) throw new ShowtellError('certs/exist', { folder: directory });
  if (hasCertificate !== hasKey) throw incomplete(directory, hasKey === true ? tlsFiles.ca : authorityKey);
}

function incomplete(folder: string, file: string): ShowtellError {
  return new ShowtellError('certs/no-authority', { folder, detail: `${file} is not there` });
}

async function authorityFiles(directory: string, authority: Authority): Promise<Output[]> {
  const { certificate, key } = await authority.certified();
  return [
    { file: join(directory, authorityKey), content: key, isSecret: true },
    { file: join(directory, tlsFiles.ca), content: certificate },
  ];
}

/** @throws ShowtellError `certs/no-authority` */
async function authorityIn(directory: string): Promise<Authority> {
  const missing = [tlsFiles.ca, authorityKey].find((file) => !existsSync(join(directory, file)));
  if (missing !== undefined) throw incomplete(directory, missing);
  const authority = await readAuthority(directory);
  if (authority.until.getTime() > Date.now()) return authority;
  const detail = `it ended on ${authority.until.toISOString().slice(0, 10)}`;
  throw new ShowtellError('certs/no-authority', { folder: directory, detail });
}

async function readAuthority(directory: string): Promise<Authority> {
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

/** Who gets a certificate. */
interface Holder {
  readonly path: string;
  readonly role: Role;
  readonly name: string | null;
}

function holdersOf(directory: string, workers: readonly string[]): Holder[] {
  const named = [...new Set(workers)].map((name) => ({ folder: `worker-${name}`, role: 'worker' as const, name }));
  const all = [...roles.map((role) => ({ folder: role, role, name: null })), ...named];
  return all.map(({ folder, role, name }) => ({ path: join(directory, folder), role, name }));
}

interface Parts {
  readonly natsKeys: ReadonlyMap<Role, NatsKey>;
  readonly hosts: readonly string[];
  readonly options: CertsOptions;
}

async function filesOf(
  { path, role, name }: Holder,
  authority: Authority,
  { natsKeys, hosts, options: { days } }: Parts,
): Promise<{ issued: MadeCerts; files: Output[] }> {
  const reached = servers.some((server) => server === role) ? hosts : [];
  const { certificate, key } = await authority.issue({ role, name, hosts: reached, days });
  const natsKey = natsKeys.get(role);
  const until = new Date(new X509Certificate(certificate).validTo);
  return {
    issued: { folder: path, until, isCut: until.getTime() >= authority.until.getTime() },
    files: [
      { file: join(path, tlsFiles.ca), content: (await authority.certified()).certificate },
      { file: join(path, tlsFiles.key), content: key, isSecret: true },
      { file: join(path, tlsFiles.certificate), content: certificate },
      ...(natsKey === undefined
        ? []
        : [{ file: join(path, tlsFiles.nkey), content: natsKey.seed, isSecret: true } as const]),
    ],
  };
}

/** Those of before, those given, and by which this machine is reached from itself; an address that is written in two ways once. */
function hostsOf({ hosts }: CertsOptions, there: CertsThere): readonly string[] {
  const own = [hostname(), 'localhost', '127.0.0.1', '::1'].filter(isHost);
  const all = [...there.hosts, ...hosts, ...own];
  return [...new Set(all.map((host) => (isIP(host) === 6 ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host)))];
}

function newNatsKey(): NatsKey {
  const pair = createUser();
  return { seed: `${Buffer.from(pair.getSeed()).toString('utf8')}\n`, publicKey: pair.getPublicKey() };
}

/** NATS' configuration, unless the one that is there, in which people may have changed other things, has all keys and buckets. */
function configurationOf(
  options: CertsOptions,
  { configuration, buckets: before }: CertsThere,
  keys: ReadonlyMap<NatsUser, NatsKey>,
): Output[] {
  const given = options.buckets ?? [];
  const nkeys = Object.fromEntries([...keys].map(([role, { publicKey }]) => [role, publicKey]));
  const hasKeys = Object.values(nkeys).every((key) => configuration?.includes(key) === true);
  if (hasKeys && given.every((bucket) => before.includes(bucket))) return [];
  const all = [...new Set([...before, ...given])];
  const content = natsConfiguration({
    nkeys: nkeys as Record<NatsUser, string>,
    buckets: all.length === 0 ? ['showtell-data'] : all,
  });
  return [{ file: join(options.directory, 'nats', natsConfigurationFile), content }];
}

/** @throws ShowtellError `file/unwritable` */
function write({ file, content, isSecret }: Output): void {
  makeFolder(dirname(file));
  const beside = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(beside, content, { mode: isSecret === true ? 0o600 : 0o644 });
    renameSync(beside, file);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw unwritable(file, cause);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(folder, cause);
    throw new ShowtellError('file/unwritable', { file: folder, detail: 'it is no folder' }, { cause });
  }
}
