import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { copyOf, isIgnored, needed, stagesOf, variablesOf, type Stage } from './dockerfile.js';

export interface Done {
  readonly code: number | null;
  readonly output: string;
}

/** What a process in an image sees besides the image. */
export interface Surroundings {
  readonly environment?: Readonly<Record<string, string>>;
  /** Folders of this machine by where they appear. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** Whether the root can be written; it cannot unless it is being built. */
  readonly writable?: boolean;
  /** As `docker run --user`. */
  readonly user?: string;
}

/** An image: layers, the newest first, and what its last stage says of how to start it. */
interface Image {
  readonly layers: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: string;
}

/**
 * Builds a Dockerfile's stages without a container engine: overlay mounts for layers, chroot for RUN, each in a mount namespace of its
 * own, so that nothing stays mounted whatever happens.
 */
export class ImageBuild {
  private readonly images = new Map<string, Image>();
  private readonly stages: readonly Stage[];

  /**
   * @param base the root in the place of the image that stages begin with
   * @param folder for the layers, on a disk that overlays can lie on
   * @param during what every RUN sees besides
   */
  constructor(
    file: string,
    base: string,
    private readonly folder: string,
    private readonly during: Surroundings,
  ) {
    this.stages = stagesOf(file);
    const environment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
    const [image] = this.stages
      .map(({ from }) => from)
      .filter((from) => this.stages.every(({ name }) => name !== from));
    this.images.set(image ?? '', { layers: [base], environment, workdir: '/', user: '0:0' });
    mkdirSync(join(folder, 'merged'), { recursive: true });
  }

  /** Builds a target and what it needs; stages that are built already are taken. @throws Error with the line that failed */
  async build(target: string): Promise<void> {
    for (const stage of needed(this.stages, target)) if (!this.images.has(stage.name)) await this.buildStage(stage);
  }

  /** Runs a program in a built image, as its user and with a root that cannot be written. */
  async run(target: string, command: readonly string[], around: Surroundings = {}): Promise<Done> {
    return this.start(target, command, around).ended;
  }

  start(target: string, command: readonly string[], around: Surroundings = {}) {
    return inImage(this.image(target), this.folder, command, around);
  }

  /** Runs a program of this machine on a target's root, whose path is its last argument. */
  onRoot(target: string, command: readonly string[]): Promise<Done> {
    return inNamespace(this.image(target), this.folder, 'exec "$@" "$ROOT"', false, command).ended;
  }

  /** Bytes of a target's files, the base's aside. */
  bytesOf(target: string): number {
    const own = this.image(target).layers.slice(0, -1);
    return own.reduce(
      (sum, layer) => sum + Number(execFileSync('du', ['-sb', layer], { encoding: 'utf8' }).split('\t')[0]),
      0,
    );
  }

  private image(name: string): Image {
    const image = this.images.get(name);
    if (image === undefined) throw new Error(`${name} is not built`);
    return image;
  }

  private async buildStage(stage: Stage): Promise<void> {
    const parent = this.image(stage.from);
    const layer = join(this.folder, stage.name);
    mkdirSync(layer);
    let image: Image = { ...parent, layers: [layer, ...parent.layers] };
    for (const { keyword, text, line } of stage.instructions) {
      const where = `line ${line}: ${keyword} ${text}`;
      if (keyword === 'ENV') image = { ...image, environment: { ...image.environment, ...variablesOf(text) } };
      else if (keyword === 'USER') image = { ...image, user: text };
      else if (keyword === 'WORKDIR') {
        const atTop = { ...image, workdir: '/' };
        image = { ...image, workdir: text };
        await must(where, inImage(atTop, this.folder, ['mkdir', '-p', text], { writable: true, user: '0:0' }).ended);
      } else if (keyword === 'COPY') await must(where, this.copy(image, text));
      else if (keyword === 'RUN')
        await must(
          where,
          inImage(image, this.folder, ['/bin/sh', '-c', text], { ...this.during, writable: true }).ended,
        );
    }
    this.images.set(stage.name, image);
  }

  /** Into the newest layer, through the overlay; folders by their content, as builders do it. */
  private async copy(image: Image, text: string): Promise<Done> {
    const { from, sources, target } = copyOf(text);
    const context = join(this.folder, 'context');
    if (from === null) for (const source of sources) takeIntoContext(source, context);
    const sourceRoot = from === null ? context : join(this.folder, 'source');
    const into = target.startsWith('/') ? target : join(image.workdir, target);
    const lines = sources.map((source) => {
      const path = join(sourceRoot, source);
      const isFolder = from !== null || statSync(path).isDirectory();
      return isFolder
        ? `mkdir -p "$ROOT${into}" && cp -a "${path}/." "$ROOT${into}/"`
        : `mkdir -p "$ROOT${into.endsWith('/') ? into : dirname(into)}" && cp -a "${path}" "$ROOT${into}"`;
    });
    if (from !== null) {
      mkdirSync(sourceRoot, { recursive: true });
      const lower = [...this.image(from).layers, sourceRoot].join(':');
      lines.unshift(`mount -t overlay overlay -o "lowerdir=${lower}" "${sourceRoot}"`);
    }
    return inNamespace(image, this.folder, lines.join('\n'), true).ended;
  }
}

/** A tracked or new file of the repository, or a folder of such, as far as .dockerignore lets it in. */
function takeIntoContext(source: string, context: string): void {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', source];
  const files = execFileSync('git', args, { encoding: 'utf8', maxBuffer: 1e8 }).split('\0');
  for (const file of files.filter((name) => name !== '' && !isIgnored(name, '.dockerignore'))) {
    mkdirSync(dirname(join(context, file)), { recursive: true });
    cpSync(file, join(context, file));
  }
}

async function must(where: string, work: Promise<Done>): Promise<void> {
  const { code, output } = await work;
  if (code !== 0) throw new Error(`${where}\nended with ${code}: ${output.slice(-4000)}`);
}

function inImage(image: Image, folder: string, command: readonly string[], around: Surroundings) {
  const { environment = {}, mounts = {}, writable = false, user = image.user } = around;
  const [uid = '0', gid = uid] = user.split(':');
  const variables = Object.entries({ ...image.environment, HOME: uid === '0' ? '/root' : '/tmp', ...environment });
  const binds = Object.entries({ '/dev': '/dev', '/proc': '/proc', ...mounts });
  const places = binds.map(([at, from]) =>
    statSync(from).isDirectory() ? `mkdir -p "$ROOT${at}"` : `mkdir -p "$ROOT${dirname(at)}" && touch "$ROOT${at}"`,
  );
  const script = [
    ...places,
    // What is mounted into a container can be written all the same.
    ...(writable ? [] : ['mount -o remount,ro "$ROOT"']),
    ...binds.map(([at, from]) => `mount --rbind "${from}" "$ROOT${at}"`),
    `exec chroot --userspec=${uid}:${gid} --groups=${gid} "$ROOT" /usr/bin/env -i --chdir="${image.workdir}" "$@"`,
  ].join('\n');
  const own = [...variables.map(([name, value]) => `${name}=${value}`), ...command];
  return inNamespace(image, folder, script, writable, own);
}

/** Runs a script with the image's layers mounted at $ROOT. */
function inNamespace(image: Image, folder: string, script: string, writable: boolean, args: readonly string[] = []) {
  const [newest = '', ...rest] = image.layers;
  // A container's own layer: the places of its mounts alone.
  const upper = writable ? newest : mkdtempSync(join(folder, 'container-'));
  // The root folder has the mode of its newest layer.
  chmodSync(upper, 0o755);
  mkdirSync(`${upper}.work`, { recursive: true });
  const options = `lowerdir=${(writable ? rest : image.layers).join(':')},upperdir=${upper},workdir=${upper}.work`;
  const whole = `set -e\nROOT="${folder}/merged"\nmount -t overlay overlay -o "${options}" "$ROOT"\n${script}`;
  const child = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', whole, 'sh', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(child, 'close').then(([code]): Done => ({ code: code as number | null, output }));
  return { child, ended };
}
