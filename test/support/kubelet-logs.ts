import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { createServer } from 'node:https';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** A pod's log, and whether more may come. */
export interface PodLog {
  readonly file: string;
  isOver(): boolean;
}

export interface LogServer extends AsyncDisposable {
  readonly port: number;
}

/** The part of a kubelet's API that `kubectl logs` is led to by the API server: `/containerLogs/NAMESPACE/POD/CONTAINER`. */
export async function serveLogs(
  folder: string,
  logOf: (namespace: string, pod: string) => PodLog | null,
): Promise<LogServer> {
  const [key, cert] = [join(folder, 'kubelet.key'), join(folder, 'kubelet.crt')];
  const pair = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-subj', '/CN=node', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...pair], { stdio: 'ignore' });
  const server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'https://node');
    const [, namespace = '', pod = ''] = /^\/containerLogs\/([^/]+)\/([^/]+)\//.exec(pathname) ?? [];
    const log = logOf(namespace, pod);
    if (log === null) return response.writeHead(404).end();
    const tail = searchParams.get('tailLines');
    void write(response, log, tail === null ? null : Number(tail), searchParams.get('follow') === 'true');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function write(response: ServerResponse, log: PodLog, tail: number | null, follow: boolean): Promise<void> {
  const text = readFileSync(log.file);
  const lines = text.toString('utf8').split('\n');
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.write(tail === null ? text : lines.slice(-tail - 1).join('\n'));
  const file = openSync(log.file, 'r');
  const chunk = Buffer.alloc(65_536);
  for (let at = text.length; follow && !response.closed;) {
    const isOver = log.isOver();
    const bytes = readSync(file, chunk, 0, chunk.length, at);
    if (bytes > 0) response.write(Buffer.from(chunk.subarray(0, bytes)));
    else if (isOver) break;
    else await delay(100);
    at += bytes;
  }
  closeSync(file);
  response.end();
}
