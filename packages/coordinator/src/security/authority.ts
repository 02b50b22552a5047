// The library below finds its parts by decorators' metadata, which this adds to Reflect.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { roleUri, type Role } from '@showtell/shared/security/role.js';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
const authorityDays = 3_650;
/** Clocks of other machines may be behind. */
const earlierMs = 3_600_000;

const usages: Readonly<Record<Role, readonly x509.ExtendedKeyUsage[]>> = {
  // It is reached by workers, and reaches NATS.
  coordinator: [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth],
  ps: [x509.ExtendedKeyUsage.serverAuth],
  worker: [x509.ExtendedKeyUsage.clientAuth],
  client: [x509.ExtendedKeyUsage.clientAuth],
  nats: [x509.ExtendedKeyUsage.serverAuth],
};

/** A certificate and its key, in PEM. */
export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateRequest {
  readonly role: Role;
  /** The only name that its holder may use; null: any. */
  readonly name: string | null;
  /** Names and addresses by which it is reached. */
  readonly hosts: readonly string[];
  readonly days: number;
  /** When it begins. Default: now. */
  readonly from?: Date;
}

/** Signs the certificates of a cluster's roles. */
export class Authority {
  private constructor(
    readonly certificate: x509.X509Certificate,
    private readonly key: webcrypto.CryptoKey,
  ) {}

  /** A new one, good for ten years. */
  static async create(): Promise<Authority> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const now = Date.now();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: serialNumber(),
      name: 'CN=showtell authority',
      notBefore: new Date(now - earlierMs),
      notAfter: new Date(now + authorityDays * dayMs),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(certificate, keys.privateKey);
  }

  /** @throws when they are not a certificate and its key */
  static async from({ certificate, key }: Certified): Promise<Authority> {
    const bytes = x509.PemConverter.decodeFirst(key);
    const own = await webcrypto.subtle.importKey('pkcs8', bytes, algorithm, true, ['sign']);
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)))
      throw new Error('the key does not belong to the certificate');
    return new Authority(new x509.X509Certificate(certificate), own);
  }

  /** When it ends, and whatever it made at the latest. */
  get until(): Date {
    return this.certificate.notAfter;
  }

  async certified(): Promise<Certified> {
    return { certificate: `${this.certificate.toString('pem')}\n`, key: await pemOf(this.key) };
  }

  /** A new key with a certificate that says whose it is; it ends no later than the authority's own. */
  async issue({
    role,
    name,
    hosts,
    days,
    from = new Date(Date.now() - earlierMs),
  }: CertificateRequest): Promise<Certified> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const end = Math.min(from.getTime() + earlierMs + days * dayMs, this.certificate.notAfter.getTime());
    const named = hosts.map((host) => ({ type: isIP(host) === 0 ? ('dns' as const) : ('ip' as const), value: host }));
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=showtell ${role}`,
      issuer: this.certificate.subject,
      notBefore: from,
      notAfter: new Date(end),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.key,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([...usages[role]], true),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: roleUri(role, name) }, ...named]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.certificate),
      ],
    });
    return { certificate: `${certificate.toString('pem')}\n`, key: await pemOf(keys.privateKey) };
  }
}

async function pemOf(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;
}

/** Positive, as the standard has it. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}
