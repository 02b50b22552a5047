import { existsSync, readFileSync } from 'node:fs';

/** What a set-up step may find missing on a machine, and what each package manager calls it. */
const packages = {
  compiler: { apt: 'g++', dnf: 'gcc-c++', pacman: 'gcc', zypper: 'gcc-c++', apk: 'g++', brew: 'gcc' },
  python: {
    apt: 'python3 python3-pip',
    dnf: 'python3 python3-pip',
    pacman: 'python python-pip',
    zypper: 'python3 python3-pip',
    apk: 'python3 py3-pip',
    brew: 'python',
  },
  pip: {
    apt: 'python3-pip',
    dnf: 'python3-pip',
    pacman: 'python-pip',
    zypper: 'python3-pip',
    apk: 'py3-pip',
    brew: 'python',
  },
  nats: {
    apt: 'nats-server',
    dnf: 'golang',
    pacman: 'nats-server',
    zypper: 'nats-server',
    apk: 'nats-server',
    brew: 'nats-server',
  },
  java: {
    apt: 'default-jre-headless',
    dnf: 'java-21-openjdk-headless',
    pacman: 'jre-openjdk-headless',
    zypper: 'java-21-openjdk-headless',
    apk: 'openjdk21-jre-headless',
    brew: 'openjdk',
  },
} as const;

export type Installable = keyof typeof packages;
type Manager = keyof (typeof packages)['compiler'];

const commands: Record<Manager, readonly string[]> = {
  apt: ['apt-get update', 'apt-get install -y'],
  dnf: ['dnf install -y'],
  pacman: ['pacman -S --needed --noconfirm'],
  zypper: ['zypper install -y'],
  apk: ['apk add'],
  brew: ['brew install'],
};

/** By the words of os-release's ID and ID_LIKE. */
const families: Record<string, Manager> = {
  debian: 'apt',
  ubuntu: 'apt',
  fedora: 'dnf',
  rhel: 'dnf',
  centos: 'dnf',
  amzn: 'dnf',
  arch: 'pacman',
  suse: 'zypper',
  opensuse: 'zypper',
  alpine: 'apk',
};

/** Which package manager this machine has, from `/etc/os-release`. */
export function packageManager(
  platform: NodeJS.Platform = process.platform,
  osRelease: string = readOsRelease(),
): Manager | undefined {
  if (platform === 'darwin') return 'brew';
  const words = [...osRelease.matchAll(/^ID(?:_LIKE)?="?([^"\n]*)"?$/gm)].flatMap((match) =>
    (match[1] ?? '').split(' '),
  );
  for (const word of words) {
    const manager = families[word];
    if (manager !== undefined) return manager;
  }
  return undefined;
}

/** The command that installs `what` here, to be shown to the user; plain words where no package manager is known. */
export function installHint(
  what: readonly Installable[],
  manager: Manager | undefined = packageManager(),
  root: boolean = process.getuid?.() === 0,
): string {
  const names = what.map((one) => packages[one][manager ?? 'apt']).join(' ');
  if (manager === undefined) return `${names}, with the system's package manager`;
  const sudo = root || manager === 'brew' ? '' : 'sudo ';
  const command = commands[manager].map((part) => sudo + part).join(' && ');
  return `${command} ${names}`;
}

function readOsRelease(): string {
  return existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
}
