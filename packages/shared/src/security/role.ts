import type { X509Certificate } from 'node:crypto';

/** Who takes part in a cluster; each has a certificate of its own. */
export const roles = ['coordinator', 'ps', 'worker', 'client', 'nats'] as const;
export type Role = (typeof roles)[number];

/** Those that others reach by a host's name. */
export const servers = ['coordinator', 'ps', 'nats'] as const satisfies readonly Role[];

/** Those with a key for NATS: a shard of the parameter server has nothing to say there. */
export const natsUsers = ['coordinator', 'worker', 'client'] as const satisfies readonly Role[];
export type NatsUser = (typeof natsUsers)[number];

/** What a certificate says of its holder. */
export interface CertifiedIdentity {
  readonly role: Role;
  /** The one name that the holder may use; null: any. */
  readonly name: string | null;
}

const trustDomain = 'showtell';

/** The URI that stands in a certificate's subject alternative names, such as `spiffe://showtell/worker`. */
export function roleUri(role: Role, name: string | null = null): string {
  return `spiffe://${trustDomain}/${role}${name === null ? '' : `/${encodeURIComponent(name)}`}`;
}

/** @returns null for a certificate that names none of showtell's roles, or two */
export function identityOf(certificate: Pick<X509Certificate, 'subjectAltName'>): CertifiedIdentity | null {
  const names = (certificate.subjectAltName ?? '').split(', ');
  const found = names.flatMap((name) => {
    const [, role = '', own] = /^URI:spiffe:\/\/showtell\/([a-z]+)(?:\/([A-Za-z0-9._~!'()*%-]+))?$/.exec(name) ?? [];
    const known = roles.find((one) => one === role);
    return known === undefined ? [] : [{ role: known, name: own === undefined ? null : decodeURIComponent(own) }];
  });
  return found.length === 1 ? (found[0] ?? null) : null;
}
