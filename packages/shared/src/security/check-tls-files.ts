import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { fromSeed } from 'nkeys.js';
import { ShowtellError } from '../errors.js';
import { natsUsers } from './role.js';
import { tlsFiles } from './tls-files.js';
import type { TlsFolder } from './tls-folder.js';

/** What writing a role's files one after another takes at most. */
const renewalMs = 500;

/**
 * Whether a role's files belong together. At the start, and not by what a server makes of them: that only says that nobody answers.
 * @throws ShowtellError `tls/incomplete`, `tls/unusable` with the file
 */
export function checkTlsFiles(folder: TlsFolder): void {
  if (faultOf(folder) === null) return;
  // They may just be renewed: then key and certificate are of one another a moment later.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, renewalMs);
  const fault = faultOf(folder);
  if (fault !== null) throw new ShowtellError('tls/unusable', { folder: folder.path, detail: fault });
}

function faultOf(folder: TlsFolder): string | null {
  const { ca, cert, key } = folder.read();
  return faultIn(cert.toString('utf8'), key, ca.toString('utf8')) ?? natsFault(folder);
}

function faultIn(certificate: string, key: Buffer, ca: string): string | null {
  const { certificate: certificateFile, key: keyFile, ca: caFile } = tlsFiles;
  const [own, ...between] = certificatesIn(certificate) ?? [];
  if (own === undefined) return `${certificateFile} is no certificate in PEM`;
  const privateKey = attempt(() => createPrivateKey(key));
  if (privateKey === null) return `${keyFile} is no private key`;
  if (!fits(own, privateKey)) return `${keyFile} is not the key of ${certificateFile}`;
  const trusted = certificatesIn(ca);
  if (trusted === null) return `${caFile} is no certificate in PEM`;
  const authorities = authoritiesOf(own, between, trusted);
  if (authorities.length === 0) return `${certificateFile} is of another authority than ${caFile}`;
  const isOver = authorities.every(({ validTo }) => Date.parse(validTo) < Date.now());
  return isOver ? `the authority in ${caFile} ended on ${authorities[0]?.validTo}` : null;
}

/** Those that signed a certificate, or one above it in its own file. */
function authoritiesOf(
  own: X509Certificate,
  between: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): readonly X509Certificate[] {
  const found = trusted.filter((one) => isSignedBy(own, one));
  if (found.length > 0) return found;
  const above = between.find((one) => isSignedBy(own, one));
  return above === undefined
    ? []
    : authoritiesOf(
        above,
        between.filter((one) => one !== above),
        trusted,
      );
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && attempt(() => certificate.verify(authority.publicKey)) === true;
}

function fits(certificate: X509Certificate, key: KeyObject): boolean {
  return attempt(() => certificate.checkPrivateKey(key)) === true;
}

/** @returns null when there is none, or one cannot be read */
function certificatesIn(content: string): readonly X509Certificate[] | null {
  const blocks = content.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g);
  return blocks === null ? null : attempt(() => blocks.map((block) => new X509Certificate(block)));
}

/** Not every role has a key. */
function natsFault(folder: TlsFolder): string | null {
  if (!natsUsers.some((role) => role === folder.identity.role)) return null;
  const seed = folder.natsSeed();
  return attempt(() => fromSeed(seed).getPublicKey()) === null ? `${tlsFiles.nkey} is no key for NATS` : null;
}

function attempt<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null;
  }
}
