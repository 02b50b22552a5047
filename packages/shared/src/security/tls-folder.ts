import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ShowtellError } from '../errors.js';
import { checkTlsFiles } from './check-tls-files.js';
import { identityOf, type CertifiedIdentity, type Role } from './role.js';
import { tlsFiles } from './tls-files.js';

/** The environment variable that names the folder; `--tls` sets it for the process and what it starts. */
export const tlsVariable = 'SHOWTELL_TLS';

/** What a TLS connection is opened with, in PEM. */
export interface TlsMaterial {
  readonly ca: Buffer;
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A role's folder with its certificate, its key and whom it trusts. The files are read anew at each use: they may be renewed. */
export class TlsFolder {
  private constructor(
    readonly path: string,
    readonly identity: CertifiedIdentity,
  ) {}

  /** @throws ShowtellError `tls/incomplete`, `tls/unusable` */
  static open(path: string): TlsFolder {
    const identity = identityOf(certificateIn(path));
    const detail = 'its certificate names no role of showtell';
    if (identity === null) throw new ShowtellError('tls/unusable', { folder: path, detail });
    return new TlsFolder(path, identity);
  }

  file(name: keyof typeof tlsFiles): string {
    return join(this.path, tlsFiles[name]);
  }

  /** @throws ShowtellError `tls/incomplete` */
  read(): TlsMaterial {
    return {
      ca: contentOf(this.path, tlsFiles.ca),
      cert: contentOf(this.path, tlsFiles.certificate),
      key: contentOf(this.path, tlsFiles.key),
    };
  }

  /** When the certificate ends. @throws ShowtellError `tls/incomplete`, `tls/unusable` */
  validTo(): Date {
    return new Date(certificateIn(this.path).validTo);
  }

  /** The seed by which NATS knows this role. @throws ShowtellError `tls/incomplete` */
  natsSeed(): Uint8Array {
    return Buffer.from(contentOf(this.path, tlsFiles.nkey).toString('utf8').trim());
  }
}

/**
 * The folder of a role: `directory` itself, or the one named after the role within it.
 * @throws ShowtellError `tls/incomplete`
 */
export function roleFolder(directory: string, role: Role): string {
  const own = [resolve(directory), resolve(directory, role)];
  const found = own.find((path) => existsSync(join(path, tlsFiles.certificate)));
  if (found !== undefined) return found;
  throw new ShowtellError('tls/incomplete', { folder: resolve(directory), file: join(role, tlsFiles.certificate) });
}

/** Of a role beside this process's own, as where one machine plays all roles; null when nothing is secured. */
export function folderBeside(role: Role): string | null {
  const own = process.env[tlsVariable];
  if (own === undefined || own === '') return null;
  return roleFolder(basename(own) === role ? own : dirname(own), role);
}

/**
 * Has this process and those it starts speak TLS as a role.
 * @param directory from `--tls`; none: what the environment says, if anything
 * @returns whom the certificate names; null: nothing is secured
 * @throws ShowtellError `usage/invalid` for `--tls ""`, `tls/incomplete`, `tls/unusable`: out of date, or files that do not belong
 * together; `tls/other-role`, `tls/not-yet`
 */
export function useTls(role: Role, directory: string | undefined): CertifiedIdentity | null {
  // As of a variable that a script meant to set: who asks for TLS gets it or nothing.
  if (directory === '')
    throw new ShowtellError('usage/invalid', { detail: '--tls names no folder: it is empty', command: 'certs' });
  const given = directory ?? process.env[tlsVariable] ?? '';
  if (given === '') return null;
  const path = roleFolder(given, role);
  const folder = TlsFolder.open(path);
  const { identity } = folder;
  // In a coordinator's Pod there is no other: it may do all that a client may.
  const suits = identity.role === role || (role === 'client' && identity.role === 'coordinator');
  if (!suits) throw new ShowtellError('tls/other-role', { folder: path, role: identity.role, wanted: role });
  checkTlsFiles(folder);
  checkTime(path);
  process.env[tlsVariable] = path;
  return identity;
}

function checkTime(folder: string): void {
  const { validTo, validFrom } = certificateIn(folder);
  const now = new Date();
  if (Date.parse(validTo) < now.getTime())
    throw new ShowtellError('tls/unusable', { folder, detail: `its certificate ended on ${validTo}` });
  if (Date.parse(validFrom) <= now.getTime()) return;
  const begins = new Date(validFrom).toISOString();
  throw new ShowtellError('tls/not-yet', { folder, begins, now: now.toISOString() });
}

/**
 * What this process was told to use, by `--tls` or the environment; null: nothing is secured. A command that has no
 * role of its own is a client.
 * @throws ShowtellError `tls/incomplete`, `tls/unusable`
 */
export function processTls(): TlsFolder | null {
  const given = process.env[tlsVariable] ?? '';
  return given === '' ? null : TlsFolder.open(roleFolder(given, 'client'));
}

function certificateIn(path: string): X509Certificate {
  const content = contentOf(path, tlsFiles.certificate);
  try {
    return new X509Certificate(content);
  } catch (cause) {
    throw new ShowtellError(
      'tls/unusable',
      { folder: path, detail: `${tlsFiles.certificate} is no certificate` },
      { cause },
    );
  }
}

function contentOf(folder: string, file: string): Buffer {
  try {
    return readFileSync(join(folder, file));
  } catch (cause) {
    throw new ShowtellError('tls/incomplete', { folder, file }, { cause });
  }
}
