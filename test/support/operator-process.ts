import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@showtell/coordinator/local/free-port.js';

const cli = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));

/** `showtell operator` as a process, with the cluster and the rights of a kubeconfig. */
export class OperatorProcess implements AsyncDisposable {
  log = '';
  private readonly ended: Promise<number | null>;

  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.log += text));
    this.ended = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
  }

  static async start(kubeconfig: string, args: readonly string[]): Promise<OperatorProcess> {
    const port = await freePort();
    const child = spawn(process.execPath, [cli, 'operator', '--http-port', String(port), ...args], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    const operator = new OperatorProcess(child, `http://127.0.0.1:${port}`);
    await operator.until('starting');
    return operator;
  }

  /** Waits for a line of its log. @throws Error when it does not come */
  async until(message: string, ms = 30_000): Promise<void> {
    const deadline = Date.now() + ms;
    while (!this.log.includes(`"message":"${message}"`)) {
      if (Date.now() > deadline || this.child.exitCode !== null)
        throw new Error(`the operator did not say "${message}": ${this.log}`);
      await delay(50);
    }
  }

  /** The value of a series, by its name and labels as Prometheus writes them. */
  async metric(series: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')[1],
    );
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}
