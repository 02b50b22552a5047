import { ShowtellError } from '@showtell/shared/errors.js';
import { serveHttp, type ServiceOptions } from '@showtell/shared/service/http.js';
import { Counter, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';

function options(more: Partial<ServiceOptions> = {}): ServiceOptions {
  return { port: 0, registry: new Registry(), ready: () => true, what: 'metrics', setting: '--metrics-port', ...more };
}

async function get(url: string, init?: RequestInit): Promise<{ status: number; text: string; type: string | null }> {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
}

describe('serveHttp', () => {
  it('serves the registry as Prometheus reads it', async () => {
    const registry = new Registry();
    new Counter({ name: 'apples_total', help: 'Apples.', registers: [registry] }).inc(3);
    await using server = await serveHttp(options({ registry }));
    const { status, text, type } = await get(`${server.url}/metrics`);
    expect(status).toBe(200);
    expect(type).toContain('version=0.0.4');
    expect(text).toContain('# TYPE apples_total counter\napples_total 3\n');
  });

  it('answers readiness and health with the reason when not', async () => {
    let reason: true | string = 'waiting for the first version';
    await using server = await serveHttp(options({ ready: () => reason }));
    expect(await get(`${server.url}/readyz`)).toMatchObject({ status: 503, text: 'waiting for the first version\n' });
    reason = true;
    expect(await get(`${server.url}/readyz?verbose`)).toMatchObject({ status: 200, text: 'ok\n' });
    expect(await get(`${server.url}/healthz`)).toMatchObject({ status: 200 });
  });

  it('hands on what is not its own, and refuses other methods and paths', async () => {
    await using server = await serveHttp(
      options({
        handle: (request, response) => {
          if (request.url !== '/page') return false;
          response.end('a page');
          return true;
        },
      }),
    );
    expect(await get(`${server.url}/page`)).toMatchObject({ status: 200, text: 'a page' });
    expect((await get(`${server.url}/other`)).status).toBe(404);
    expect((await get(`${server.url}/metrics`, { method: 'POST' })).status).toBe(405);
    expect(await get(`${server.url}/healthz`, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  });

  it('survives a registry that fails to collect', async () => {
    const registry = new Registry();
    new Counter({
      name: 'broken_total',
      help: 'Fails.',
      registers: [registry],
      collect() {
        throw new Error('no figure today');
      },
    });
    await using server = await serveHttp(options({ registry }));
    expect(await get(`${server.url}/metrics`)).toMatchObject({ status: 500, text: 'Error: no figure today\n' });
    expect((await get(`${server.url}/healthz`)).status).toBe(200);
  });

  it('names the port that is taken and what to do', async () => {
    await using first = await serveHttp(options());
    const second = serveHttp(options({ port: first.port }));
    await expect(second).rejects.toBeInstanceOf(ShowtellError);
    await expect(second).rejects.toMatchObject({ code: 'service/port-taken', exitCode: 69 });
    await expect(second).rejects.toThrow(`Port ${first.port} on 127.0.0.1`);
    await expect(
      second.catch((error: unknown) => Promise.reject(new Error((error as ShowtellError).remedy))),
    ).rejects.toThrow(/--metrics-port.*ss -ltnp/u);
  });

  it('says that an address is none of this machine', async () => {
    const told = (more: Partial<ServiceOptions> = {}) =>
      expect(serveHttp(options({ host: '192.0.2.1', ...more }))).rejects.toMatchObject({
        code: 'service/cannot-listen',
        remedy: expect.stringContaining(`${more.hostSetting ?? '--host'} and --metrics-port`) as string,
      });
    await told();
    await told({ hostSetting: '--metrics-host' });
  });

  it('closes although a client holds its connection open', async () => {
    const server = await serveHttp(options());
    await get(`${server.url}/healthz`, { headers: { connection: 'keep-alive' } });
    await server.close();
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
  });
});
