import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serveHttp, type ServiceServer } from '@showtell/shared/service/http.js';
import { openLog } from '@showtell/shared/service/log.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { Endpoint, type EndpointOptions } from '@showtell/worker/serve/endpoint.js';
import { openServeMetrics } from '@showtell/worker/serve/metrics.js';
import { RateLimit } from '@showtell/worker/serve/rate-limit.js';

const picture = {
  image: new Float32Array(3),
  thumbnail: null,
  width: 1,
  height: 1,
  format: 'jpeg',
  orientation: 1,
} as const;

interface Held {
  readonly resolve: () => void;
  readonly signal: AbortSignal;
}

interface Scripted extends ServiceServer {
  /** Pictures that wait to be captioned. */
  readonly held: Held[];
  post(body?: string): Promise<Response>;
  depth(): Promise<number>;
}

/** The endpoint behind real HTTP, with captions that come when the test says so. */
async function open(over: Partial<EndpointOptions> = {}): Promise<Scripted> {
  const held: Held[] = [];
  const metrics = openServeMetrics();
  const endpoint = new Endpoint({
    rules: { maxBytes: 1000, defaultBeam: 3, mostBeam: 10 },
    maxQueue: 10,
    rate: new RateLimit(0),
    timeoutMs: 60_000,
    threads: { read: () => Promise.resolve(picture) },
    queue: {
      caption: (_picture, signal) =>
        new Promise((resolve, reject) => {
          held.push({
            resolve: () => resolve([{ caption: 'a cat', logProbability: -1, wordProbabilities: [] }]),
            signal,
          });
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
    },
    refusing: () => null,
    openApi: {},
    metrics,
    log: openLog({ fields: {}, level: 'silent' }),
    ...over,
  });
  const server = await serveHttp({
    port: 0,
    registry: metrics.registry,
    ready: () => true,
    handle: (request, response) => endpoint.handle(request, response),
    what: 'captions',
    setting: '--port',
  });
  onTestFinished(() => server.close());
  return {
    ...server,
    held,
    post: (body = 'jpeg') =>
      fetch(`${server.url}/caption`, { method: 'POST', body, headers: { 'content-type': 'image/jpeg' } }),
    depth: async () => (await metrics.series.queue.get()).values[0]?.value ?? 0,
  };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { error: { code: string } }).error.code;
}

describe('the endpoint of captions', () => {
  it('accepts so many requests and refuses the rest at once, saying when to come again', async () => {
    const service = await open({ maxQueue: 2 });
    const accepted = [service.post(), service.post()];
    await until(() => service.held.length === 2);
    const refused = await service.post();
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect(await codeOf(refused)).toBe('request/queue-full');
    for (const { resolve } of service.held) resolve();
    expect((await Promise.all(accepted)).map(({ status }) => status)).toEqual([200, 200]);
    const next = service.post();
    await until(() => service.held.length === 3);
    service.held[2]?.resolve();
    expect((await next).status).toBe(200);
  });

  it('limits what one address asks for', async () => {
    const service = await open({ rate: new RateLimit(0.01) });
    const first = service.post();
    await until(() => service.held.length === 1);
    const second = await service.post();
    expect(second.status).toBe(429);
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(50);
    expect(await codeOf(second)).toBe('request/rate');
    service.held[0]?.resolve();
    expect((await first).status).toBe(200);
  });

  it('gives up a request whose captions take too long, and tells whoever computes them', async () => {
    const service = await open({ timeoutMs: 50 });
    const late = await service.post();
    expect([late.status, late.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await codeOf(late)).toBe('service/timeout');
    expect(service.held[0]?.signal.aborted).toBe(true);
    expect(await service.depth()).toBe(0);
  });

  it('answers 408 to one that does not arrive whole, and forgets one whose client goes away', async () => {
    const service = await open({ timeoutMs: 200 });
    const head = 'POST /caption HTTP/1.1\r\nhost: a\r\ncontent-type: image/jpeg\r\ncontent-length: 99\r\n\r\nabc';
    const slow = connect(service.port, '127.0.0.1');
    slow.write(head);
    const text = await new Promise<string>((resolve) => {
      let heard = '';
      slow.on('data', (data) => (heard += data.toString())).on('close', () => resolve(heard));
    });
    expect(text).toMatch(/^HTTP\/1\.1 408 [\s\S]*request\/slow/);

    const gone = connect(service.port, '127.0.0.1');
    gone.write(`${head}${'x'.repeat(96)}`);
    await until(() => service.held.length === 1);
    gone.destroy();
    await until(() => service.held[0]?.signal.aborted === true);
    await until(async () => (await service.depth()) === 0);
  });

  it('answers a client that sends too much, although it is still sending', async () => {
    const service = await open();
    const socket = connect(service.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('POST /caption HTTP/1.1\r\nhost: a\r\ncontent-type: image/jpeg\r\ntransfer-encoding: chunked\r\n\r\n');
    const sending = setInterval(() => socket.write(`200\r\n${'x'.repeat(512)}\r\n`), 5);
    const text = await new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString()));
    });
    clearInterval(sending);
    socket.destroy();
    expect(text).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close[\s\S]*request\/too-large/i);
  });

  it('takes nothing while it loads or stops', async () => {
    for (const reason of ['service/loading', 'service/stopping'] as const) {
      const service = await open({ refusing: () => reason });
      const refused = await service.post();
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
      expect(await codeOf(refused)).toBe(reason);
    }
  });

  it('tells strangers nothing of what failed inside', async () => {
    const failing = {
      read: () => Promise.reject(new ShowtellError('engine/failed', { call: 'x', detail: '/root/secret' })),
    };
    const service = await open({ threads: failing });
    const failed = await service.post();
    expect(failed.status).toBe(500);
    expect(await failed.text()).not.toContain('secret');
  });

  it('drains: what was accepted is answered, then the connections end', async () => {
    const service = await open();
    const accepted = service.post();
    await until(() => service.held.length === 1);
    let isDrained = false;
    const drained = service.drain().then(() => (isDrained = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(isDrained).toBe(false);
    await expect(service.post()).rejects.toThrow();
    service.held[0]?.resolve();
    expect((await accepted).status).toBe(200);
    await drained;
  });
});
