import { inboxPrefix } from '@showtell/shared/security/nats-subjects.js';
import type { NatsUser } from '@showtell/shared/security/role.js';
import { tlsFiles } from '@showtell/shared/security/tls-files.js';

/** Beside the certificates of the role `nats`. */
export const natsConfigurationFile = 'nats.conf';

/** Who speaks with NATS. */

export interface NatsConfiguration {
  /** Each role's public nkey. */
  readonly nkeys: Readonly<Record<NatsUser, string>>;
  /** Buckets of the object store with data that workers may read. */
  readonly buckets: readonly string[];
}

/**
 * nats-server's configuration: TLS with certificates from both sides, and what each role may say and hear. It names files beside it,
 * so nats-server is started in its folder.
 */
export function natsConfiguration({ nkeys, buckets }: NatsConfiguration): string {
  const permissions = permissionsOf(buckets);
  const user = (role: NatsUser): string => `
      {
        # ${role}
        nkey: ${nkeys[role]}
        permissions: {
          publish: { allow: [${lines(permissions[role].publish)}
          ] }
          subscribe: { allow: [${lines(permissions[role].subscribe)}
          ] }
        }
      }`;
  const services = permissions.worker.publish;
  return `# Made by "showtell certs". Start it in this folder: nats-server -c nats.conf -js -sd STORE
# A change is read on SIGHUP: nats-server --signal reload

tls: {
  cert_file: "${tlsFiles.certificate}"
  key_file: "${tlsFiles.key}"
  ca_file: "${tlsFiles.ca}"
  verify: true
  timeout: 10
}

max_connections: 4096
max_payload: 1MB
max_subscriptions: 1000
authorization: { timeout: 10 }

accounts: {
  showtell: {
    jetstream: enabled
    users: [${user('coordinator')}${user('client')}
    ]
    exports: [${services.map((service) => `\n      { service: "${service}", accounts: [workers] }`).join('')}
    ]
  }
  # The server sends answers wherever a request says, without asking whether its sender might: so workers are apart,
  # where an answer reaches nobody but them.
  workers: {
    users: [${user('worker')}
    ]
    imports: [${services.map((service) => `\n      { service: { account: showtell, subject: "${service}" } }`).join('')}
    ]
  }
}
`;
}

/** The buckets that a configuration of {@link natsConfiguration} was made for. */
export function bucketsIn(configuration: string): readonly string[] {
  const found = configuration.matchAll(/"\$JS\.API\.STREAM\.INFO\.OBJ_([A-Za-z0-9_-]+)"/g);
  return [...new Set([...found].map(([, bucket = '']) => bucket))];
}

const lines = (subjects: readonly string[]): string => subjects.map((subject) => `\n            "${subject}"`).join('');

interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/**
 * What each role does. A worker takes units, extends and settles them, and reads data message by message: it has no consumer of its own,
 * since to make one is to say where the server sends what. It can neither offer units, see commands nor make or remove anything.
 */
export function permissionsOf(buckets: readonly string[]): Record<NatsUser, Permissions> {
  const units = ['now', 'ahead'];
  return {
    coordinator: {
      // Who asks may be a command beside it, with the same certificate.
      publish: ['showtell.>', '$JS.API.>', `${inboxPrefix('client')}.>`, `${inboxPrefix('coordinator')}.>`],
      subscribe: ['showtell.*.command', `${inboxPrefix('coordinator')}.>`],
    },
    worker: {
      publish: [
        ...units.map((lane) => `$JS.API.CONSUMER.MSG.NEXT.*.${lane}`),
        ...units.map((lane) => `$JS.ACK.*.${lane}.>`),
        '$JS.API.INFO',
        ...buckets.flatMap(readingOf),
      ],
      subscribe: [`${inboxPrefix('worker')}.>`],
    },
    client: {
      publish: ['showtell.*.command', '$JS.API.INFO', ...buckets.flatMap(readingOf), ...buckets.flatMap(writingOf)],
      subscribe: [`${inboxPrefix('client')}.>`],
    },
  };
}

const streamOf = (bucket: string): string => `OBJ_${bucket}`;

function readingOf(bucket: string): string[] {
  const stream = streamOf(bucket);
  return [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
  ];
}

function writingOf(bucket: string): string[] {
  const stream = streamOf(bucket);
  const verbs = ['CREATE', 'UPDATE', 'PURGE', 'DELETE', 'MSG.DELETE'];
  return [
    `$O.${bucket}.>`,
    ...verbs.map((verb) => `$JS.API.STREAM.${verb}.${stream}`),
    // What is there is listed by a consumer.
    '$JS.API.STREAM.NAMES',
    ...['CREATE', 'INFO', 'DELETE'].map((verb) => `$JS.API.CONSUMER.${verb}.${stream}.>`),
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.FC.${stream}.>`,
  ];
}
