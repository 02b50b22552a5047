import { hostname } from 'node:os';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { CertifiedIdentity } from '@showtell/shared/security/role.js';

/**
 * A worker's name in the run: as asked for; else that of a certificate which names its holder, since the coordinator takes it by no other.
 * @param asked by `--id`
 * @throws ShowtellError `usage/invalid` for another name than the certificate's
 */
export function ownId(asked: string | null, certified: CertifiedIdentity | null): string {
  const name = certified?.name ?? null;
  if (name === null) return asked ?? `worker-${hostname()}-${process.pid}`;
  if (asked === null || asked === name) return name;
  const detail = `--id ${asked}: the certificate is for the worker ${name} alone; give --id ${name}, or none`;
  throw new ShowtellError('usage/invalid', { detail, command: 'worker' });
}
