import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** Where npm itself lies. */
const npmFolder = (): string => {
  const { stdout } = spawnSync('npm', ['root', '--global'], { encoding: 'utf8' });
  return join(stdout.trim(), 'npm');
};

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'showtell-mount-'));
  for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(folder, name));
  const options = `lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work`;
  const mounted = spawnSync('unshare', [
    '--mount',
    'mount',
    '-t',
    'overlay',
    'overlay',
    '-o',
    options,
    `${folder}/merged`,
  ]);
  rmSync(folder, { recursive: true, force: true });
  return mounted.status === 0;
}

/** Why no image can be built here; null: one can. */
export const noImages: string | null =
  process.getuid?.() !== 0
    ? 'wants root, for chroot and mounts'
    : !has('apt-get') || !has('dpkg-deb')
      ? 'wants Debian, whose packages the images are made of'
      : !canMount()
        ? 'may not mount an overlay here'
        : null;

/**
 * A root like that of `node:…-bookworm-slim`, which no test may fetch: Debian's smallest, by its own debootstrap, and this machine's Node
 * with npm in /usr/local.
 * @throws Error with what debootstrap said
 */
export function makeBase(root: string): void {
  const tools = `${root}.tools`;
  mkdirSync(tools, { recursive: true });
  // Unpacked, not installed.
  run('apt-get', ['download', 'debootstrap'], tools);
  const archive = readdirSync(tools).find((name) => name.endsWith('.deb')) ?? '';
  run('dpkg-deb', ['-x', join(tools, archive), tools], tools);
  const program = join(tools, 'usr/sbin/debootstrap');
  const mirror = 'http://deb.debian.org/debian';
  run(program, ['--variant=minbase', '--include=ca-certificates', 'bookworm', root, mirror], tools, {
    DEBOOTSTRAP_DIR: join(tools, 'usr/share/debootstrap'),
  });
  rmSync(tools, { recursive: true });

  copyFileSync(process.execPath, join(root, 'usr/local/bin/node'));
  const modules = join(root, 'usr/local/lib/node_modules');
  cpSync(realpathSync(npmFolder()), join(modules, 'npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  const header = join(dirname(process.execPath), '../include/node/node_version.h');
  mkdirSync(join(root, 'usr/local/include/node'), { recursive: true });
  if (existsSync(header)) copyFileSync(header, join(root, 'usr/local/include/node/node_version.h'));
  // What this machine reaches registries by.
  for (const file of ['etc/resolv.conf', 'etc/hosts', 'etc/ssl/certs/ca-certificates.crt'])
    if (existsSync(`/${file}`)) copyFileSync(`/${file}`, join(root, file));
}

function run(program: string, args: readonly string[], cwd: string, environment: Record<string, string> = {}): void {
  const env = { ...process.env, ...environment };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: 'utf8', maxBuffer: 1e8 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stdout}${stderr}`.slice(-4000));
}
