import { request as httpRequest } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Validator } from '@seriousme/openapi-schema-validator';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Command, LocalCluster } from '../../support/local-run.js';
import { writeCaptionCheckpoint } from '../../support/caption-checkpoint.js';
import { claiming, scene, writeFiles } from '../../support/pictures.js';
import { haveTensorflow } from '../../support/tensorflow.js';

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: {
    captions?: { caption: string; logprob: number; probability: number }[];
    error?: { code: string; message: string; remedy?: string };
  };
}

interface Serving {
  readonly command: Command;
  readonly url: string;
  /** Values of showtell's series at /metrics, by name and labels. */
  readonly metrics: () => Promise<Record<string, number>>;
  readonly post: (body: string | Uint8Array, query?: string, type?: string) => Promise<Answer>;
}

/** A caption's last digits depend on the row of the product that it was computed in. */
function rounded({ body }: Answer): [string, string][] | undefined {
  return body.captions?.map(({ caption, logprob }) => [caption, logprob.toFixed(4)]);
}

describe.skipIf(!haveTensorflow)('showtell serve (skipped without the engine)', { timeout: 600_000 }, () => {
  const cluster = LocalCluster.open();
  const run = cluster.at('run');
  const photo = cluster.at('photo.jpg');
  let jpegs: Uint8Array[] = [];
  let jpeg = Buffer.alloc(0);

  beforeAll(async () => {
    await writeCaptionCheckpoint(run);
    jpegs = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => scene(i).jpeg().toBuffer()));
    jpeg = Buffer.from(jpegs[0] as Uint8Array);
    writeFiles({ [photo]: jpeg });
  });

  async function serve(...args: string[]): Promise<Serving> {
    const command = cluster.start(['serve', '--checkpoint', run, '--port', '0', ...args]);
    onTestFinished(() => command.signal('SIGKILL'));
    let stdout = '';
    command.child.stdout?.on('data', (text: string) => (stdout += text));
    for (let i = 0; !stdout.includes('listening'); i++) {
      if (i > 1200 || command.isOver) throw new Error(`it does not listen: ${JSON.stringify(await command.ended)}`);
      await delay(50);
    }
    const url = /^listening on (http:\/\/127\.0\.0\.1:\d+)$/m.exec(stdout)?.[1] ?? '';
    return {
      command,
      url,
      async metrics() {
        const text = await (await fetch(`${url}/metrics`)).text();
        const lines = text.split('\n').filter((line) => line.startsWith('showtell_'));
        return Object.fromEntries(
          lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
        );
      },
      async post(body, query = '', type = 'image/jpeg') {
        const response = await fetch(`${url}/caption${query}`, {
          method: 'POST',
          body: Buffer.from(body),
          headers: { 'content-type': type },
        });
        const retryAfter = response.headers.get('retry-after');
        return { status: response.status, retryAfter, body: (await response.json()) as Answer['body'] };
      },
    };
  }

  it('answers what showtell caption says, raw or in JSON, describes itself, counts, and stops at SIGTERM', async () => {
    const { command, url, metrics, post } = await serve('--batch', '8', '--rate', '0', '--max-megabytes', '1');
    const said = await cluster.run(['caption', '--checkpoint', run, '--json', '--beam', '4', photo]);
    const { captions: expected } = JSON.parse(said.stdout) as { captions: { caption: string; logprob: number }[] };
    const answer = await post(jpeg, '?beam=4');
    expect(answer.status).toBe(200);
    expect(answer.body.captions?.map(({ caption, logprob }) => ({ caption, logprob }))).toEqual(expected);
    for (const { logprob, probability } of answer.body.captions ?? [])
      expect(probability).toBeCloseTo(Math.exp(logprob), 12);
    const asJson = await post(JSON.stringify({ image: jpeg.toString('base64'), beam: 4 }), '', 'application/json');
    expect(asJson).toEqual(answer);
    expect((await post(await scene(0).png().toBuffer(), '', 'application/octet-stream')).body.captions).toHaveLength(3);

    // Each of these is refused by its own code, and says what to do.
    const png = await claiming(12_000, 9_000);
    const refused: readonly (readonly [string, Answer, number, string])[] = [
      ['no picture', await post('hello'), 415, 'picture/unknown-format'],
      ['torn', await post(jpeg.subarray(0, jpeg.length * 0.6)), 422, 'input/picture-undecodable'],
      ['108 megapixels', await post(png), 413, 'picture/too-large'],
      ['2 MiB', await post(Buffer.alloc(2 * 1_048_576)), 413, 'request/too-large'],
      ['nothing', await post(''), 400, 'request/invalid'],
      ['beam 0', await post(jpeg, '?beam=0'), 400, 'request/invalid'],
      ['beam 11', await post(jpeg, '?beam=11'), 400, 'request/invalid'],
      ['unknown', await post(jpeg, '?width=3'), 400, 'request/invalid'],
      ['a form', await post('a=b', '', 'application/x-www-form-urlencoded'), 415, 'request/type'],
      [
        'no base64',
        await post('{"image":"data:image/png;base64,AAAA"}', '', 'application/json'),
        400,
        'request/invalid',
      ],
      ['no JSON', await post('{"image":', '', 'application/json'), 400, 'request/invalid'],
    ];
    for (const [what, { status, body }, wanted, code] of refused) {
      expect({ what, status, code: body.error?.code }).toEqual({ what, status: wanted, code });
      expect(body.error?.remedy, what).toBeTruthy();
    }
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    const get = await fetch(`${url}/caption`);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);

    // The document is valid OpenAPI 3.1, and names every status that was answered.
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
    };
    const validator = new Validator();
    expect(await validator.validate(document)).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
    const described = Object.keys(document.paths['/caption']?.['post']?.responses ?? {});
    for (const [, { status }] of refused) expect(described).toContain(String(status));

    const counted = await metrics();
    expect(counted).toMatchObject({
      'showtell_serve_requests_total{status="200"}': 3,
      'showtell_serve_requests_total{status="400"}': 6,
      'showtell_serve_requests_total{status="413"}': 2,
      'showtell_serve_requests_total{status="422"}': 1,
      showtell_serve_request_duration_seconds_count: 14,
      showtell_serve_queue_depth: 0,
      showtell_serve_batch_size_count: 3,
    });
    expect(await (await fetch(`${url}/healthz`)).text()).toBe('ok\n');
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    command.signal('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 0 });
  });

  it('computes concurrent requests together, with the same answers as alone, and answers them all after SIGTERM', async () => {
    const { command, url, metrics, post } = await serve('--batch', '4', '--rate', '0');
    const alone: ReturnType<typeof rounded>[] = [];
    for (const picture of jpegs) alone.push(rounded(await post(picture)));
    const before = await metrics();
    const together = await Promise.all(Array.from({ length: 24 }, (_, i) => post(jpegs[i % 6] as Uint8Array)));
    expect(together.map(rounded)).toEqual(Array.from({ length: 24 }, (_, i) => alone[i % 6]));
    const after = await metrics();
    const calls = (after['showtell_serve_batch_size_count'] ?? 0) - (before['showtell_serve_batch_size_count'] ?? 0);
    expect(calls).toBeLessThan(24);
    expect((after['showtell_serve_batch_size_sum'] ?? 0) - (before['showtell_serve_batch_size_sum'] ?? 0)).toBe(24);

    // Accepted ones are answered after SIGTERM; half a request that was begun before, too.
    const half = httpRequest(`${url}/caption`, {
      method: 'POST',
      headers: { 'content-type': 'image/jpeg', 'content-length': jpeg.length },
    });
    half.write(jpeg.subarray(0, 100));
    const late = new Promise<number>((resolve, reject) => {
      half.on('response', (response) => resolve(response.resume().statusCode ?? 0)).on('error', reject);
    });
    while ((await metrics())['showtell_serve_queue_depth'] !== 1) await delay(20);
    const accepted = Array.from({ length: 12 }, (_, i) => post(jpegs[i % 6] as Uint8Array));
    while (((await metrics())['showtell_serve_queue_depth'] ?? 0) < 5) await delay(1);
    command.signal('SIGTERM');
    await delay(100);
    half.end(jpeg.subarray(100));
    expect(await late).toBe(200);
    const answers = await Promise.allSettled(accepted);
    const answered = answers.filter((answer) => answer.status === 'fulfilled' && answer.value.status === 200);
    // Those whose connection was not yet taken find nobody; whatever was taken is answered.
    expect(answered.length).toBeGreaterThanOrEqual(4);
    for (const answer of answers) if (answer.status === 'fulfilled') expect([200, 503]).toContain(answer.value.status);
    expect(await command.ended).toMatchObject({ code: 0 });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  });
});
