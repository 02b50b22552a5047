import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const scripts = fileURLToPath(new URL('../kube/', import.meta.url));
const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const built = join(process.env['KUBE_BIN'] ?? join(homedir(), '.cache/showtell-kube/bin'), 'kube-controller-manager');

/** Why no API server can be had here; null: one can. Without the binaries in its cache they are built, in minutes. */
export const noKube: string | null = !has('etcd')
  ? 'no etcd: apt-get install etcd-server'
  : !has('kubectl')
    ? 'no kubectl'
    : !existsSync(built) && !has('go')
      ? 'no Go, which builds kube-apiserver'
      : null;

/** A real API server with etcd and the controller manager, on loopback. */
export class Kube implements Disposable {
  private readonly folder = mkdtempSync(join(tmpdir(), 'showtell-kube-'));

  private configs = 0;

  private constructor() {}

  /** Not by `spawnSync`: the binaries may have to be built first, and a test's process must answer its runner meanwhile. */
  static async start(): Promise<Kube> {
    const kube = new Kube();
    const child = spawn('bash', [join(scripts, 'up.sh'), kube.folder], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    // `exit`, not `close`: the servers that it leaves running hold no stream of it, but a failed one might.
    const [status] = (await once(child, 'exit')) as [number | null];
    if (status === 0) return kube;
    kube[Symbol.dispose]();
    throw new Error(`the API server did not start: ${said}`);
  }

  /** `kubectl …`. @returns what it printed, standard error after standard output, and its exit code */
  kubectl(args: readonly string[], input = ''): { readonly code: number | null; readonly output: string } {
    const done = spawnSync('kubectl', ['--kubeconfig', this.kubeconfig, ...args], { encoding: 'utf8', input });
    return { code: done.status, output: done.stdout + done.stderr };
  }

  /** `kubectl …` that must do. @throws Error with what it printed */
  must(args: readonly string[], input = ''): string {
    const { code, output } = this.kubectl(args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${output}`);
    return output;
  }

  /** The administrator's. */
  get kubeconfig(): string {
    return join(this.folder, 'kubeconfig');
  }

  /** A kubeconfig's content with another token. */
  configText(token: string): string {
    return readFileSync(this.kubeconfig, 'utf8').replace(/token: "[^"]*"/, `token: "${token}"`);
  }

  /** A kubeconfig with another token. @returns its file */
  kubeconfigWith(token: string): string {
    const file = join(this.folder, `kubeconfig-${this.configs++}`);
    writeFileSync(file, this.configText(token));
    return file;
  }

  [Symbol.dispose](): void {
    spawnSync('bash', [join(scripts, 'down.sh'), this.folder]);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
