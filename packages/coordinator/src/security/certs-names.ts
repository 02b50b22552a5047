import { isIP } from 'node:net';
import { bucketName } from '@showtell/shared/data/location.js';
import { ShowtellError } from '@showtell/shared/errors.js';

export interface CertsNames {
  readonly hosts: readonly string[];
  readonly buckets: readonly string[] | undefined;
  readonly workers: readonly string[];
}

/** Of a worker with a certificate of its own: part of a folder's name. */
export const workerName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** `coordinator.lab`, `*.lab`; underscores as Compose's names have them. */
const hostName = /^(?=.{1,253}$)(?:\*\.)?(?:\w(?:[\w-]{0,61}\w)?\.)*\w(?:[\w-]{0,61}\w)?$/;

/** What a certificate can name; an address with an interface (`fe80::1%eth0`) it cannot. */
export function isHost(name: string): boolean {
  const isBrokenAddress = /^\d+(?:\.\d+)+$/.test(name) && isIP(name) === 0;
  return !isBrokenAddress && (hostName.test(name) || (isIP(name) !== 0 && !name.includes('%')));
}

/**
 * The names become folders' names, subjects in NATS' configuration and names in certificates.
 * @throws ShowtellError `usage/invalid`
 */
export function checkNames({ hosts, buckets = [], workers }: CertsNames): void {
  const refuse = (option: 'worker' | 'bucket' | 'host', name: string, rule: string): never => {
    throw new ShowtellError('usage/invalid', {
      detail: `--${option} ${JSON.stringify(name)} names no ${option}: ${rule}`,
      command: 'certs',
    });
  };
  for (const name of workers)
    if (!workerName.test(name))
      refuse('worker', name, 'it has at most 63 letters, digits, ".", "_" and "-", a letter or digit first');
  for (const name of buckets)
    if (!bucketName.test(name)) refuse('bucket', name, 'it has at most 128 letters, digits, "-" and "_"');
  for (const name of hosts) if (!isHost(name)) refuse('host', name, 'it is neither a host name nor an IP address');
}
