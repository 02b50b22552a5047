import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { get, request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MountedDashboard } from '@showtell/coordinator/dashboard/mount.js';
import type {
  EvaluationPictures,
  NewSteps,
  RunList,
  RunNow,
  RunOverview,
  Summary,
  Verified,
} from '@showtell/coordinator/dashboard/page/payload.js';
import { nowOfFolder } from '@showtell/coordinator/dashboard/run-now.js';
import type { RunFolder } from '@showtell/coordinator/run-folder.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { Registry } from 'prom-client';
import { journalOf, RunningCoordinator, newRun, tinyJob } from '../../support/coordinator-cluster.js';
import { coordinatorSuite, deedAt } from '../../support/coordinator-suite.js';
import { EventStream } from '../../support/event-stream.js';
import { eventually } from '../../support/eventually.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const suite = coordinatorSuite();
const mark = { 'x-showtell': 'test' };
const token = 'a token of the tests, long enough';

async function getJson<T>(url: string, headers: Readonly<Record<string, string>> = {}): Promise<T> {
  const response = await fetch(url, { headers });
  expect(response.status, url).toBe(200);
  return (await response.json()) as T;
}

/** A request as it stands: fetch mends paths and sets Host by itself. */
function rawStatus(base: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const { hostname, port } = new URL(base);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('the page of a run at work', () => {
  it('tells what there was, then each step, evaluation and checkpoint as it comes', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    const { runs, controls } = await getJson<RunList>(`${http}/api/runs`);
    expect({ runs, controls }).toEqual({ runs: [{ id: 'run', name: 'tiny', folder: 'run' }], controls: true });
    const before = await getJson<RunOverview>(`${http}/api/runs/run`);
    expect(before).toMatchObject({ now: { state: 'training', step: 0, workers: [] }, history: { count: 0 } });
    const stream = new EventStream(`${http}/api/runs/run/events?revision=${before.history.revision}&last=0`);
    await run.worker(suite.good('a', { deed: deedAt(6, 0, 'hold') }));
    await stream.until<RunNow>('now', ({ workers }) => workers[0]?.doing === 'computes step 7, unit 0');
    await stream.until<NewSteps>('steps', ({ rows }) => rows.some(([step]) => step === 6));
    expect(stream.of<NewSteps>('steps').flatMap(({ rows }) => rows.map(([step]) => step))).toEqual([1, 2, 3, 4, 5, 6]);
    await stream.until<Summary>('summary', ({ switchedAt, checkpoints, evaluations }) => {
      return switchedAt === 4 && checkpoints.some(({ step }) => step === 6) && evaluations.at(-1)?.step === 6;
    });
    const { history } = await getJson<RunOverview>(`${http}/api/runs/run`);
    expect(history.steps).toEqual([1, 2, 3, 4, 5, 6]);
    expect(history.parts.update.every((value) => value !== null && value >= 0)).toBe(true);
    const part = await getJson<RunOverview['history']>(`${http}/api/runs/run/history?from=3&to=5&stretches=2`);
    expect(part).toMatchObject({ steps: [4, 5], stretch: 2, count: 6 });

    run.control.stop();
    await run.ended;
    await eventually('the stream is over', () => stream.isOver);
    expect(stream.events.at(-1)?.name).toBe('bye');
  });

  it('has the held-out pictures with what was said of them, word by word', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    await run.worker(suite.good('a', { deed: deedAt(2, 0, 'hold') }));
    await run.until('evaluation', 2);
    await eventually('its captions are kept', async () => (await fetch(`${http}/api/runs/run/evaluations/2`)).ok);
    const { pictures } = await getJson<EvaluationPictures>(`${http}/api/runs/run/evaluations/2`);
    expect(pictures).toHaveLength(4);
    const [first] = pictures;
    const words = first!.captions[0]!.caption.split(' ');
    expect(first!.captions[0]!.probabilities).toHaveLength(words.length + 1);
    const image = await fetch(`${http}/api/runs/run/images/${first!.image}`);
    expect(image.headers.get('content-type')).toBe('image/jpeg');
    expect(new Uint8Array(await image.arrayBuffer()).subarray(0, 2)).toEqual(new Uint8Array([0xff, 0xd8]));
    expect((await fetch(`${http}/api/runs/run/evaluations/3`)).status).toBe(404);
  });

  it('gives its checkpoints away, and verifies them', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    await run.worker(suite.good('a', { deed: deedAt(3, 0, 'hold') }));
    await eventually('checkpoint 2', () => existsSync(run.folder.at('checkpoints', '00000002', 'manifest.json')));
    const base = `${http}/api/runs/run/checkpoints/2`;
    const file = await fetch(`${base}/parameters.safetensors`);
    expect(file.headers.get('content-disposition')).toBe('attachment; filename="run-2-parameters.safetensors"');
    expect((await file.arrayBuffer()).byteLength).toBe(Number(file.headers.get('content-length')));
    const verify = async (): Promise<Verified> =>
      (await (await fetch(`${base}/verify`, { method: 'POST', headers: mark })).json()) as Verified;
    expect(await verify()).toMatchObject({ isSound: true });
    writeFileSync(run.folder.at('checkpoints', '00000002', 'parameters.safetensors'), 'x');
    expect(await verify()).toMatchObject({ isSound: false });
  });

  it('carries out what a person asks for, and journals it', async () => {
    const run = suite.begin(['phases.decoderOnly.steps=300', 'evaluation.everySteps=1000']);
    const { http } = await run.announced();
    const ask = (command: string) =>
      fetch(`${http}/api/runs/run/commands/${command}`, { method: 'POST', headers: mark });
    await run.worker(suite.good('a', { lossPerWord: () => 0.1 }));
    await run.until('step', 1);
    expect(await (await ask('pause')).json()).toMatchObject({ state: 'paused' });
    expect((await ask('resume')).status).toBe(200);
    expect((await ask('switch')).status).toBe(200);
    await eventually('the joint phase', () => run.of('switch').length === 1);
    const again = await ask('switch');
    expect([again.status, await again.json()]).toMatchObject([
      409,
      { error: 'The joint phase cannot be asked for: the run is in the joint phase already.' },
    ]);
    expect((await ask('explode')).status).toBe(404);
    await ask('stop');
    await run.ended;
    const commands = journalOf(run.folder).flatMap((entry) => (entry.type === 'command' ? [entry.command] : []));
    expect(commands.slice(0, 3)).toEqual(['pause', 'resume', 'switch']);
  });
});

describe('what nobody else gets', () => {
  it('is anything outside the run, by whatever path or link', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    await run.worker(suite.good('a', { deed: deedAt(3, 0, 'hold') }));
    await eventually('checkpoint 2', () => existsSync(run.folder.at('checkpoints', '00000002', 'manifest.json')));
    const secret = join(temporaryFolder(), 'secret.safetensors');
    writeFileSync(secret, 'secret');
    symlinkSync(secret, run.folder.at('checkpoints', '00000002', 'secret.safetensors'));
    symlinkSync(secret, run.folder.at('evaluations', 'images', '77.jpg'));
    for (const path of [
      '/api/runs/run/checkpoints/2/secret.safetensors',
      '/api/runs/run/images/77.jpg',
      '/api/runs/run/checkpoints/2/../../../run.json',
      '/api/runs/run/checkpoints/2/..%2f..%2f..%2frun.json',
      '/api/runs/run/checkpoints/2/%2e%2e/run.json',
      '/api/runs/run/checkpoints/..%2f..%2f/manifest.json',
      '/api/runs/run/images/..%2f..%2fjournal.jsonl',
      '/api/runs/run/images/%2fetc%2fpasswd',
      '/api/runs/..%2frun/images/1.jpg',
      '/page/../../package.json',
      '/page/..%2f..%2fpackage.json',
      '/page/main.js.map',
      '/journal.jsonl',
      '/api/runs/other',
    ])
      expect(await rawStatus(http, path), path).toBe(404);
    expect(await rawStatus(http, '/api/runs/run/checkpoints/2/manifest.json')).toBe(200);
  });

  it('is the page by another name, or a command from another site', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    expect(await rawStatus(http, '/', { host: 'evil.example' })).toBe(421);
    expect(await rawStatus(http, '/api/runs/run/events', { host: 'evil.example' })).toBe(421);
    const stop = (headers: Readonly<Record<string, string>>) =>
      fetch(`${http}/api/runs/run/commands/stop`, { method: 'POST', headers }).then(({ status }) => status);
    expect(await stop({})).toBe(403);
    expect(await stop({ ...mark, origin: 'http://evil.example' })).toBe(403);
    expect(await stop({ ...mark, 'sec-fetch-site': 'cross-site' })).toBe(403);
    expect(run.control.interruption).toBeNull();
    expect(await stop({ ...mark, origin: http })).toBe(200);
    await run.ended;
  });

  it('is told by headers that let no script but the page’s own run', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    for (const path of ['/', '/api/runs/run', '/page/main.js', '/nothing']) {
      const { headers } = await fetch(http + path);
      const policy = headers.get('content-security-policy') ?? '';
      expect(policy, path).toContain("default-src 'none'");
      expect(policy, path).toContain("script-src 'self';");
      expect(policy, path).not.toContain('unsafe');
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('x-powered-by'), path).toBeNull();
    }
    expect(await (await fetch(http)).text()).not.toMatch(/<script(?![^>]*src=)|\sstyle=|\son[a-z]+=/u);
  });
});

describe('a page with a token', () => {
  function begin(): RunningCoordinator {
    const job = tinyJob(suite.data.dataset);
    return new RunningCoordinator(
      newRun(suite.data.dataset, job),
      suite.data.dataset,
      job,
      suite.nats.url,
      'silent',
      token,
    );
  }

  it('answers nobody without it, while metrics, health and status stay open', async () => {
    const run = begin();
    const { http } = await run.announced();
    for (const path of ['/api/runs', '/api/runs/run', '/api/runs/run/events', '/page/main.js', '/nothing']) {
      expect((await fetch(http + path)).status, path).toBe(401);
      expect((await fetch(http + path, { headers: { authorization: `Bearer ${token}x` } })).status, path).toBe(401);
    }
    for (const path of ['/metrics', '/healthz', '/readyz', '/status', '/login', '/page/style.css'])
      expect((await fetch(http + path)).status, path).toBe(200);
    const page = await fetch(http);
    expect([page.status, await page.text()]).toMatchObject([401, expect.stringContaining('type="password"')]);
    const bearer = { authorization: `Bearer ${token}` };
    expect(await getJson<RunList>(`${http}/api/runs`, bearer)).toMatchObject({ controls: true });
    const stop = { method: 'POST', headers: { ...mark, ...bearer } };
    expect((await fetch(`${http}/api/runs/run/commands/stop`, stop)).status).toBe(200);
    await run.ended;
  });

  it('takes it by a form, and keeps it from scripts and other sites', async () => {
    const run = begin();
    const { http } = await run.announced();
    const login = (text: string, headers: Readonly<Record<string, string>> = {}) =>
      fetch(`${http}/login`, {
        method: 'POST',
        body: new URLSearchParams({ token: text }),
        headers,
        redirect: 'manual',
      });
    const wrong = await login('wrong');
    expect([wrong.headers.get('location'), wrong.headers.get('set-cookie')]).toEqual(['/login/again', null]);
    expect((await login(token, { origin: 'http://evil.example' })).status).toBe(403);
    const right = await login(token);
    const cookie = right.headers.get('set-cookie') ?? '';
    expect(right.headers.get('location')).toBe('/');
    expect(cookie).toMatch(/; HttpOnly; SameSite=Strict$/u);
    expect(cookie).not.toContain(token);
    expect(await getJson<RunList>(`${http}/api/runs`, { cookie: cookie.split(';')[0]! })).toMatchObject({
      controls: true,
    });
  });

  it('beyond loopback there is none without a token', async () => {
    const folder = newRun(suite.data.dataset, tinyJob(suite.data.dataset));
    await using page = served(folder, '0.0.0.0', null);
    await using server = await page.listen();
    const response = await fetch(`http://127.0.0.1:${server.port}/`);
    expect([response.status, await response.json()]).toEqual([
      403,
      { error: 'this address answers only with a token: set SHOWTELL_TOKEN and start again' },
    ]);
  });
});

describe('what goes wrong', () => {
  it('a browser that goes away is forgotten, and the run goes on', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    const streams = Array.from({ length: 5 }, () => new EventStream(`${http}/api/runs/run/events?revision=0&last=0`));
    for (const stream of streams) await stream.until('now');
    for (const stream of streams.slice(1)) stream.close();
    await run.worker(suite.good('a'));
    await run.until('step', 8);
    await streams[0]!.until('steps');
    await run.ended;
    expect(run.of('finished')).toMatchObject([{ outcome: 'complete' }]);
    expect(streams[0]!.of('failed')).toEqual([]);
  });

  it('no more than so many browsers watch at a time', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    const url = `${http}/api/runs/run/events?revision=0&last=0`;
    const streams = Array.from({ length: 64 }, () => new EventStream(url));
    for (const stream of streams) await stream.until('now');
    expect((await fetch(url)).status).toBe(503);
    streams[0]!.close();
    await eventually('there is room again', async () => {
      const again = new AbortController();
      const { status } = await fetch(url, { signal: again.signal });
      again.abort();
      return status === 200;
    });
  });

  it('a scrape while the run ends is answered or refused, never cut', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    const stream = new EventStream(`${http}/api/runs/run/events?revision=0&last=0`);
    await stream.until('now');
    let isOver = false;
    const outcomes = new Set<string>();
    const scrapes = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) {
          outcomes.add(await scrapeOnce(http));
        }
      }),
    );
    await run.worker(suite.good('a'));
    await run.ended;
    isOver = true;
    await scrapes;
    expect([...outcomes].sort()).toEqual(['refused', 'whole']);
  });
});

/**
 * One scrape by a connection of its own: `whole`: all of it came; `refused`: nobody took the request, which a scraper
 * notes as down; `torn`: an answer that began did not end.
 */
function scrapeOnce(http: string): Promise<'whole' | 'refused' | 'torn'> {
  return new Promise((resolve) => {
    get(`${http}/metrics`, { agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('error', () => resolve('torn'));
      response.on('close', () => resolve(response.complete && text.includes('showtell_step') ? 'whole' : 'torn'));
    }).on('error', () => resolve('refused'));
  });
}

/** The page of a run's files by itself, as `showtell board` and a coordinator that has ended serve it. */
function served(folder: RunFolder, host: string, token: string | null) {
  const shown = { id: 'run', folder, now: nowOfFolder(folder), commands: null };
  const page = new MountedDashboard({ runs: [shown], host, token });
  const listen = () =>
    serveHttp({
      ...{ host, port: 0, registry: new Registry(), ready: () => true, handle: page.handle },
      ...{ what: 'the page', setting: '--port' },
    });
  return { listen, [Symbol.asyncDispose]: () => page[Symbol.asyncDispose]() };
}

describe('the page of a run that has ended', () => {
  it('says so to who asks while its server lives on, rather than that there is no such page', async () => {
    const page = served(newRun(suite.data.dataset, tinyJob(suite.data.dataset)), '127.0.0.1', null);
    await using server = await page.listen();
    await page[Symbol.asyncDispose]();
    const response = await fetch(`${server.url}/api/runs`);
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ error: 'the coordinator is ending' });
  });

  it('tells the same from its files, and steers nothing', async () => {
    const run = suite.begin();
    await run.worker(suite.good('a'));
    await run.ended;
    await using page = served(run.folder, '127.0.0.1', null);
    await using server = await page.listen();
    expect(await getJson<RunList>(`${server.url}/api/runs`)).toMatchObject({ controls: false });
    const { summary, now, history } = await getJson<RunOverview>(`${server.url}/api/runs/run`);
    expect(now).toMatchObject({ state: 'finished', step: 8, workers: [] });
    expect(history.steps).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(summary).toMatchObject({ switchedAt: 4, totalSteps: 8, outcome: { outcome: 'complete' } });
    expect(summary.evaluations.map(({ step }) => step)).toEqual([0, 2, 4, 6, 8]);
    const answer = await fetch(`${server.url}/api/runs/run/commands/pause`, { method: 'POST', headers: mark });
    expect(answer.status).toBe(403);
    const stream = new EventStream(`${server.url}/api/runs/run/events?revision=${history.revision}&last=8`);
    await stream.until('now');
    await page[Symbol.asyncDispose]();
    await eventually('the stream is over', () => stream.isOver);
  });
});
