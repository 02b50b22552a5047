import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchPicture } from '@showtell/worker/caption/fetch-picture.js';

const picture = Buffer.from('a picture');
const options = { maxBytes: 1000, setting: '--max-megabytes', timeoutMs: 5_000 };

const routes: Readonly<Record<string, RequestListener>> = {
  '/picture.jpg': (_request, response) => response.writeHead(200, { 'content-type': 'image/jpeg' }).end(picture),
  '/untyped': (_request, response) => response.end(picture),
  '/moved': (_request, response) => response.writeHead(302, { location: '/picture.jpg' }).end(),
  '/loop': (_request, response) => response.writeHead(302, { location: '/loop' }).end(),
  '/file': (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
  '/page': (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
  '/long': (_request, response) => response.writeHead(200, { 'content-length': 5000 }).end(Buffer.alloc(5000)),
  '/endless': (_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write(Buffer.alloc(400)), 5);
    response.on('close', () => clearInterval(timer));
  },
  '/slow': () => undefined,
  '/torn': (_request, response) => {
    response.writeHead(200, { 'content-length': 500 });
    response.write('half', () => response.destroy());
  },
};

let server: Server;
let base = '';

beforeAll(async () => {
  server = createServer((request, response) => {
    const route = routes[request.url ?? ''];
    if (route === undefined) response.writeHead(404).end('no');
    else route(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe('a picture from an address', () => {
  it.each(['/picture.jpg', '/untyped', '/moved'])('%s comes', async (path) => {
    expect(Buffer.from(await fetchPicture(`${base}${path}`, options))).toEqual(picture);
  });

  it.each([
    ['/nothing', 'picture/url-failed', /it answered 404 Not Found/],
    ['/loop', 'picture/url-failed', /redirects more than 5 times/],
    ['/file', 'picture/url-failed', /redirects to file:\/\/\/etc\/passwd: only http and https are fetched, not file/],
    ['/page', 'picture/url-failed', /it is text\/html, no picture/],
    ['/long', 'picture/too-many-bytes', /has 5000 bytes; at most 1000/],
    ['/endless', 'picture/too-many-bytes', /has too many bytes; at most 1000/],
    ['/torn', 'picture/url-failed', /gave no picture/],
  ])('%s is refused with %s', async (path, code, message) => {
    await expect(fetchPicture(`${base}${path}`, options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it.each([
    ['file:///etc/passwd', /only http and https/],
    ['ftp://host/picture.jpg', /only http and https/],
    ['http://name:secret@127.0.0.1/', /is not sent/],
    ['http://127.0.0.1:1/', /nothing answers there|bad port/],
  ])('%s is refused', async (address, message) => {
    await expect(fetchPicture(address, options)).rejects.toMatchObject({
      code: 'picture/url-failed',
      message: expect.stringMatching(message) as string,
    });
  });

  it('one that does not answer is given up', async () => {
    await expect(fetchPicture(`${base}/slow`, { ...options, timeoutMs: 100 })).rejects.toMatchObject({
      code: 'picture/url-failed',
      message: expect.stringContaining('longer than 0.1 s') as string,
    });
  });
});
