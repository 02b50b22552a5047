import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** How a kubelet asks a container how it is. */
export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number };
  readonly timeoutSeconds?: number;
}

/** A container of a pod, as its specification has it. */
export interface ContainerSpec {
  readonly name: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: {
      readonly fieldRef?: { readonly fieldPath: string };
      readonly secretKeyRef?: { readonly name: string; readonly key: string; readonly optional?: boolean };
    };
  }[];
  readonly workingDir?: string;
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface ContainerPlan {
  readonly container: ContainerSpec;
  readonly user: number;
  readonly address: string;
  /** `/etc/hosts` of the pod. */
  readonly hosts: string;
  /** The container's environment, whose values come from fields of the pod and from Secrets too. */
  readonly env: Readonly<Record<string, string>>;
  /** Volume → a folder of this machine. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Where images have their engine. */
  readonly engine: string;
  readonly natsServer: string;
  /** A folder for this container alone. */
  readonly folder: string;
}

/** What stands for the images: this machine's system, this repository, its engine and its nats-server. */
const system = ['bin', 'dev', 'lib', 'lib64', 'proc', 'sbin', 'sys', 'usr'];

/**
 * Runs a container as a process of this machine: in a mount namespace of its own, with the pod's volumes where it asks for
 * them, a root that cannot be written, and the pod's user. Pods share the machine's network, so "every address" is the
 * pod's own.
 */
export function startContainer(plan: ContainerPlan): ChildProcess {
  const { container, user, folder, volumes } = plan;
  const root = join(folder, 'root');
  mkdirSync(root, { recursive: true });
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'hosts'), plan.hosts);
  const mounts = (container.volumeMounts ?? []).map(({ name, mountPath, readOnly }) => {
    const source = volumes[name];
    if (source === undefined) throw new Error(`no volume ${name}`);
    return { source, mountPath, readOnly: readOnly === true };
  });
  const script = [
    'set -e',
    `mount -t tmpfs -o mode=755 none ${root}`,
    `cd ${root}`,
    'mkdir -p etc opt/bin opt/showtell opt/nats var/cache/showtell/engine',
    ...system.map((name) => `[ -e /${name} ] && mkdir -p ${name} && mount --rbind /${name} ${name} || true`),
    'cp -a /etc/. etc/ 2>/dev/null || true',
    `rm -f etc/hosts; cp ${join(folder, 'hosts')} etc/hosts`,
    `mount --bind ${repository} opt/showtell`,
    `mount --bind ${plan.engine} var/cache/showtell/engine`,
    `cp ${plan.natsServer} opt/bin/nats-server; chmod 755 opt/bin/nats-server`,
    ...Object.entries({
      showtell: 'coordinator/bin/showtell.js',
      'showtell-worker': 'worker/bin/showtell-worker.js',
    }).map(
      ([name, file]) =>
        `printf '#!/bin/sh\\nexec node /opt/showtell/packages/${file} "$@"\\n' > opt/bin/${name}; chmod 755 opt/bin/${name}`,
    ),
    ...mounts.flatMap(({ source, mountPath, readOnly }) => [
      `mkdir -p .${mountPath}`,
      `mount --bind ${source} .${mountPath}`,
      ...(readOnly ? [`mount -o remount,bind,ro .${mountPath}`] : []),
    ]),
    'mount -o remount,ro .',
    `exec chroot --userspec=${user}:${user} . sh -c 'cd ${container.workingDir ?? '/'} && exec "$@"' container "$@"`,
  ].join('\n');
  const { env } = plan;
  const command = [...(container.command ?? []), ...(container.args ?? [])].map((word) =>
    word === '0.0.0.0' ? plan.address : word.replace(/\$\((\w+)\)/g, (whole, name: string) => env[name] ?? whole),
  );
  const child = spawn('unshare', ['--mount', 'bash', '-c', script, 'container', ...command], {
    env: {
      PATH: '/opt/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
      TF_CPP_MIN_LOG_LEVEL: '2',
      HOME: '/tmp',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log = createWriteStream(join(folder, 'log'), { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  return child;
}

/** A folder that a pod's user may write to. */
export function folderFor(user: number, ...path: string[]): string {
  const folder = join(...path);
  mkdirSync(folder, { recursive: true });
  chownSync(folder, user, user);
  return folder;
}
