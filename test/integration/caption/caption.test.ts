import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Ended, LocalCluster } from '../../support/local-run.js';
import { writeCaptionCheckpoint } from '../../support/caption-checkpoint.js';
import { claiming, scene, writeFiles } from '../../support/pictures.js';
import { haveTensorflow } from '../../support/tensorflow.js';

interface Line {
  readonly image: string;
  readonly captions: readonly { readonly caption: string; readonly logprob: number }[];
}

/** A caption's last digits depend on the row of the product that it was computed in. */
function rounded({ captions }: Line): [string, string][] {
  return captions.map(({ caption, logprob }) => [caption, logprob.toFixed(4)]);
}

const cli = resolve(dirname(fileURLToPath(import.meta.url)), '../../../packages/coordinator/bin/showtell.js');

describe.skipIf(!haveTensorflow)('showtell caption (skipped without the engine)', { timeout: 600_000 }, () => {
  const cluster = LocalCluster.open();
  const run = cluster.at('run');
  const pictures = cluster.at('pictures');
  const at = (name: string): string => join(pictures, name);

  beforeAll(async () => {
    await writeCaptionCheckpoint(run);
    const whole = await scene(1).jpeg().toBuffer();
    writeFiles({
      [at('a.jpg')]: await scene(0).jpeg().toBuffer(),
      [at('b.jpg')]: whole,
      [at('c.png')]: await scene(2).png().toBuffer(),
      [at('sub/d.gif')]: await scene(3).gif().toBuffer(),
      [at('sub/e.webp')]: await scene(4).webp({ lossless: true }).toBuffer(),
      [cluster.at('bad', 'text.jpg')]: 'not a picture',
      [cluster.at('bad', 'torn.jpg')]: whole.subarray(0, whole.length * 0.6),
      [cluster.at('bad', 'huge.png')]: await claiming(12_000, 9_000),
    });
    for (let i = 0; i < 10; i++) writeFileSync(at(`many-${i}.jpg`), await scene(i).jpeg().toBuffer());
  });

  const caption = (...args: string[]): Promise<Ended> => cluster.run(['caption', '--checkpoint', run, ...args]);
  const linesOf = (stdout: string): Line[] =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);

  it('captions folders, globs and files in batches, as one by one, and the pictures differ', async () => {
    const all = await caption('--json', '--recursive', pictures);
    expect(all).toMatchObject({ code: 0 });
    const lines = linesOf(all.stdout);
    const names = ['a.jpg', 'b.jpg', 'c.png', ...Array.from({ length: 10 }, (_, i) => `many-${i}.jpg`)];
    expect(lines.map(({ image }) => image)).toEqual([...names, 'sub/d.gif', 'sub/e.webp'].map(at));
    for (const { captions } of lines) {
      expect(captions).toHaveLength(3);
      const logprobs = captions.map(({ logprob }) => logprob);
      expect(logprobs).toEqual(logprobs.toSorted((x, y) => y - x));
      expect(logprobs[0]).toBeLessThan(0);
    }
    expect(new Set(lines.map(({ captions }) => captions[0]?.logprob)).size).toBeGreaterThan(4);
    expect(all.stderr).toMatch(/^showtell caption: 15 pictures in [\d.]+ s, [\d.]+ a second$/m);

    const single = await caption('--json', at('sub/d.gif'));
    expect(single.stderr).toBe('');
    const beside = lines.filter(({ image }) => image === at('sub/d.gif'));
    expect(linesOf(single.stdout).map(rounded)).toEqual(beside.map(rounded));
    const glob = await caption('--json', '--beam', '5', at('**/*.{gif,webp}'));
    expect(linesOf(glob.stdout).map(({ image, captions }) => [basename(image), captions.length])).toEqual([
      ['d.gif', 5],
      ['e.webp', 5],
    ]);
  });

  it('shows what TensorFlow ends by, and none of its notes', async () => {
    vi.stubEnv('TF_XLA_FLAGS', '--nonsense');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { code, stderr } = await caption(at('a.jpg'));
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^F\d{4} .*Unknown flag in TF_XLA_FLAGS: --nonsense$/m);
    expect(stderr).not.toMatch(/^[IW]\d{4}|^WARNING/m);
  });

  it('reads one from standard input, and shows people each caption behind its probability', async () => {
    const child = spawn(process.execPath, [cli, 'caption', '--checkpoint', run, '--', '-'], { stdio: 'pipe' });
    child.stdin.end(readFileSync(at('a.jpg')));
    let stdout = '';
    child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(0);
    const [line] = linesOf((await caption('--json', at('a.jpg'))).stdout);
    const [best] = line?.captions ?? [];
    const percent = Number((100 * Math.exp(best?.logprob ?? 0)).toPrecision(2));
    expect(stdout).toMatch(/^-\n( +[\d.e-]+( %)? {2}.*\n){3}$/);
    expect(stdout.split('\n')[1]?.trim()).toBe(`${percent} %  ${best?.caption ?? ''}`.trim());
  });

  it('names each picture that fails, captions the others, and its exit code says that some failed', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/a.jpg') response.setHeader('content-type', 'image/jpeg').end(readFileSync(at('a.jpg')));
      else if (request.url === '/moved') response.writeHead(301, { location: `file://${at('a.jpg')}` }).end();
      else response.writeHead(404).end();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    onTestFinished(() => void server.close());
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const empty = cluster.at('empty');
    writeFiles({ [join(empty, 'notes.txt')]: 'none' });
    const done = await caption(
      ...['--json', at('b.jpg'), cluster.at('bad'), at('none.jpg'), empty],
      ...[`${base}/a.jpg`, `${base}/none`, `${base}/moved`, at('a.jpg')],
    );
    expect(done.code).toBe(65);
    const lines = linesOf(done.stdout);
    expect(lines.map(({ image }) => image)).toEqual([at('b.jpg'), `${base}/a.jpg`, at('a.jpg')]);
    expect(lines.slice(1, 2).map(rounded)).toEqual(lines.slice(2).map(rounded));
    for (const text of [
      /huge\.png has 12000 × 9000 pixels, 108 megapixels; at most 50 are decoded\.\n.*--max-megapixels 108/,
      /text\.jpg is no picture that is read here: it is text/,
      /torn\.jpg does not decode: jpeg::Uncompress failed\. Invalid JPEG data or crop window\.$/m,
      /The picture .*none\.jpg does not exist/,
      /empty leads to no picture/,
      /\/none gave no picture: it answered 404 Not Found/,
      /\/moved gave no picture: it redirects to file:/,
      /3 pictures in .*; 7 could not be captioned/,
    ])
      expect(done.stderr).toMatch(text);
    expect((await caption(at('none.jpg'))).code).toBe(66);
    expect(await caption('--beam', '17', at('a.jpg'))).toMatchObject({
      code: 64,
      stderr: expect.stringContaining('no whole number from 1 to 16') as string,
    });
  });

  it('writes a page of pictures and captions that needs nothing else', async () => {
    const page = cluster.at('sheet.html');
    const odd = cluster.at('odd', 'a <b> & "c".jpg');
    writeFiles({ [odd]: await scene(5, { width: 1200, height: 800 }).jpeg().toBuffer() });
    const done = await caption('--html', page, at('c.png'), odd, cluster.at('bad', 'text.jpg'));
    expect(done.code).toBe(65);
    const html = readFileSync(page, 'utf8');
    const sources = [...html.matchAll(/ src="([^"]*)"/g)].map(([, source = '']) => source);
    expect(sources).toHaveLength(2);
    const sizes = await Promise.all(
      sources.map(async (source) => {
        const { format, width, height } = await sharp(Buffer.from(source.split(',')[1] ?? '', 'base64')).metadata();
        return [format, width, height];
      }),
    );
    expect(sizes).toEqual([
      ['jpeg', 120, 80],
      ['jpeg', 440, 293],
    ]);
    expect(html).toContain('a &lt;b&gt; &amp; &quot;c&quot;.jpg · 1200 × 800');
    expect(html).toContain('text.jpg is no picture');
    expect(html).not.toMatch(/<script|https?:|<link/);
    expect(html.match(/<figure/g)).toHaveLength(3);
    expect(html.match(/ %<\/span>/g)?.length).toBeGreaterThan(2);
    expect(readdirSync(cluster.folder).filter((name) => name.includes('writing'))).toEqual([]);

    const nowhere = await caption('--html', cluster.at('no', 'such', 'sheet.html'), at('a.jpg'));
    expect(nowhere).toMatchObject({
      code: 73,
      stdout: '',
      stderr: expect.stringContaining('cannot be written') as string,
    });
  });

  it('watches a folder: new pictures once, one that is half written only when it is whole; SIGTERM ends it', async () => {
    const folder = cluster.at('watched');
    const jpeg = readFileSync(at('a.jpg'));
    writeFiles({ [join(folder, 'old.jpg')]: jpeg });
    const page = cluster.at('watched.html');
    const watch = cluster.start(['caption', '--checkpoint', run, '--json', '--watch', folder, '--html', page]);
    let stdout = '';
    let stderr = '';
    watch.child.stdout?.on('data', (text: string) => (stdout += text));
    watch.child.stderr?.on('data', (text: string) => (stderr += text));
    const until = async (condition: () => boolean): Promise<void> => {
      for (let i = 0; !condition(); i++) {
        if (i > 600 || watch.isOver) throw new Error(`it did not come to it: ${stdout}${stderr}`);
        await delay(100);
      }
    };
    await until(() => stderr.includes('watching'));
    const slow = join(folder, 'slow.jpg');
    writeFileSync(slow, jpeg.subarray(0, jpeg.length / 2));
    writeFileSync(join(folder, 'new.jpg'), readFileSync(at('b.jpg')));
    await until(() => stdout.includes('new.jpg'));
    await delay(1_200);
    appendFileSync(slow, jpeg.subarray(jpeg.length / 2));
    await until(() => stdout.includes('slow.jpg'));
    watch.signal('SIGTERM');
    const ended = await watch.ended;
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stderr).not.toContain('slow.jpg');
    expect(linesOf(ended.stdout).map(({ image }) => basename(image))).toEqual(['new.jpg', 'slow.jpg']);
    expect(existsSync(page) && readFileSync(page, 'utf8').match(/<figure/g)).toHaveLength(2);
  });
});
