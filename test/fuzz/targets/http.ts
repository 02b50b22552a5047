import { openDashboard } from '@showtell/coordinator/dashboard/server.js';
import { nowOfFolder } from '@showtell/coordinator/dashboard/run-now.js';
import { RunCommands } from '@showtell/coordinator/run-commands.js';
import { openLog } from '@showtell/shared/service/log.js';
import { headerOf } from '@showtell/worker/input/decode-picture.js';
import { Endpoint } from '@showtell/worker/serve/endpoint.js';
import { openServeMetrics } from '@showtell/worker/serve/metrics.js';
import { RateLimit } from '@showtell/worker/serve/rate-limit.js';
import { makeRun } from '../../support/made-run.js';
import { HttpExchange } from '../http-exchange.js';
import { scratchFolder } from '../scratch.js';
import type { FuzzTarget } from '../target.js';

const gif = Buffer.from(
  '47494638396103000200800000ffffff0000002c000000000300020000020284 0a003b'.replace(' ', ''),
  'hex',
);

/** Room for a few requests: hundreds of them on one connection are no others, and take their time. */
const mostBytes = 1_024;

/** Of the page; the service asks for none. */
const token = 'sixteen-letters!';

function request(head: string, body: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(body);
  const all = `${head.replaceAll('\n', '\r\n')}\r\nHost: localhost\r\nAuthorization: Bearer ${token}`;
  const length = bytes.length === 0 ? '' : `Content-Length: ${bytes.length}\r\n`;
  return Buffer.concat([Buffer.from(`${all}\r\n${length}\r\n`), bytes]);
}

/** No request, whatever it is, is the service's own failure. */
async function exchanged(exchange: Promise<HttpExchange>, input: Buffer): Promise<void> {
  const statuses = await (await exchange).send(input);
  const failure = statuses.find((status) => status >= 500 && status !== 501 && status !== 505);
  if (failure !== undefined) throw new Error(`it is answered ${failure}`);
}

let serving: Promise<HttpExchange> | null = null;

async function openServe(): Promise<HttpExchange> {
  const endpoint = new Endpoint({
    rules: { maxBytes: 100_000, defaultBeam: 3, mostBeam: 10 },
    maxQueue: 1_000_000,
    rate: new RateLimit(0),
    timeoutMs: 60_000,
    threads: {
      read: async (bytes) => {
        const { width, height } = headerOf(bytes, 'The picture', {
          maxMegapixels: 50,
          setting: '--max-megapixels',
          upright: false,
        });
        return { image: new Float32Array(3), thumbnail: null, width, height, format: 'gif', orientation: 1 };
      },
    },
    queue: { caption: async () => [{ caption: 'a cat', logProbability: -1, wordProbabilities: [] }] },
    refusing: () => null,
    openApi: {},
    metrics: openServeMetrics(),
    log: openLog({ fields: {}, level: 'silent' }),
  });
  return new HttpExchange((incoming, response) => void endpoint.handle(incoming, response));
}

const serve: FuzzTarget = {
  name: 'serve-http',
  what: 'showtell serve: HTTP',
  mostBytes,
  seeds: () => ({
    picture: request('POST /caption?beam=2&upright=true HTTP/1.1\nContent-Type: image/gif', gif),
    json: request(
      'POST /caption HTTP/1.1\nContent-Type: application/json',
      JSON.stringify({ image: gif.toString('base64'), beam: 2, upright: false }),
    ),
    api: request('GET /openapi.json HTTP/1.1'),
  }),
  run: (input) => exchanged((serving ??= openServe()), input),
};

let showing: Promise<HttpExchange> | null = null;

async function openPage(): Promise<HttpExchange> {
  const folder = await makeRun(`${scratchFolder()}/made`, { steps: 20, everySteps: 10 });
  const commands = Object.create(RunCommands.prototype, {
    do: { value: () => ({}) },
  }) as RunCommands;
  const dashboard = await openDashboard({
    runs: [{ id: 'made', folder, now: nowOfFolder(folder), commands }],
    access: { isLoopback: true, token },
  });
  return new HttpExchange((incoming, response) => dashboard.routing(incoming, response));
}

const page: FuzzTarget = {
  name: 'page-http',
  what: 'the page of a run and its API: HTTP',
  mostBytes,
  seeds: () => ({
    runs: request('GET /api/runs HTTP/1.1'),
    run: request('GET /api/runs/made HTTP/1.1'),
    history: request('GET /api/runs/made/history?from=2&to=9&stretches=4 HTTP/1.1'),
    evaluation: request('GET /api/runs/made/evaluations/10 HTTP/1.1'),
    image: request('GET /api/runs/made/images/1.jpg HTTP/1.1'),
    checkpoint: request('GET /api/runs/made/checkpoints/10/manifest.json HTTP/1.1'),
    verify: request('POST /api/runs/made/checkpoints/10/verify HTTP/1.1\nX-Showtell: 1'),
    command: request('POST /api/runs/made/commands/pause HTTP/1.1\nX-Showtell: 1\nSec-Fetch-Site: same-origin'),
    login: request('POST /login HTTP/1.1\nX-Showtell: 1\nContent-Type: application/x-www-form-urlencoded', 'token=abc'),
    json: request('POST /login HTTP/1.1\nX-Showtell: 1\nContent-Type: application/json', '{"token":"abc"}'),
  }),
  run: (input) => exchanged((showing ??= openPage()), input),
};

export const httpTargets = [serve, page];
