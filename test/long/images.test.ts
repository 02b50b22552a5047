import { chownSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { renderJob } from '@showtell/coordinator/kubernetes/render.js';
import { parseTrainingJob } from '@showtell/coordinator/kubernetes/training-job.js';
import { version } from '@showtell/shared/version.js';
import { makeBase, noImages } from '../support/base-image.js';
import { ImageBuild } from '../support/image-build.js';
import { LocalCluster, tinyJob } from '../support/local-run.js';
import { startTestNats } from '../support/nats-server.js';

const minutes = 60_000;
const user = 10_001;

describe.skipIf(noImages !== null)(
  `deploy/images/Dockerfile${noImages === null ? '' : ` (skipped: it ${noImages})`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-images-'));
    const cluster = LocalCluster.open();
    let build: ImageBuild;
    afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

    beforeAll(async () => {
      const base = join(folder, 'base');
      makeBase(base);
      // What this machine reaches registries by; npm's downloads are shared.
      const passed =
        /^(PIP_(INDEX_URL|EXTRA_INDEX_URL|CERT|DEFAULT_TIMEOUT)|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|https?_proxy|no_proxy)$/i;
      const environment = Object.fromEntries(
        Object.entries(process.env).flatMap(([name, value]) => (passed.test(name) ? [[name, value ?? '']] : [])),
      );
      mkdirSync(join(homedir(), '.npm'), { recursive: true });
      const settings = join(folder, 'npmrc');
      cpSync(process.env['npm_config_userconfig'] ?? join(homedir(), '.npmrc'), settings);
      const mounts = { '/root/.npm': join(homedir(), '.npm'), '/root/.npmrc': settings };
      build = new ImageBuild('deploy/images/Dockerfile', base, folder, { environment, mounts });
    }, 10 * minutes);

    it.each(['coordinator', 'worker'])(
      '%s builds',
      async (target) => {
        await build.build(target);
        process.stdout.write(`${target}: ${Math.round(build.bytesOf(target) / 1e6)} MB above its base\n`);
      },
      20 * minutes,
    );

    it.each([
      ['coordinator', ['showtell', '--version'], `${version}\n`],
      ['worker', ['showtell', '--version'], `${version}\n`],
      ['worker', ['showtell-worker', '--help'], 'Usage: showtell worker'],
      ['worker', ['id', '-u'], `${user}\n`],
    ])('%s runs %j as its user', async (target, command, says) => {
      const { code, output } = await build.run(target, command);
      expect(code, output).toBe(0);
      expect(output).toContain(says);
    });

    it.each([
      ['touch', '/opt/showtell/x'],
      ['touch', '/var/cache/showtell/engine/x'],
      ['python3', '--version'],
      ['g++', '--version'],
    ])('worker cannot %s %s', async (...command) => {
      expect((await build.run('worker', command)).code).not.toBe(0);
    });

    it(
      'trains with the very commands of deploy/k8s',
      async () => {
        await cluster.drawData();
        await using nats = await startTestNats();
        const [grpc, http, metrics] = [await freePort(), await freePort(), await freePort()];
        const job = { ...tinyJob, cluster: { sharedMemory: false } };
        const objects = renderJob(parseTrainingJob(job, 'a test', { name: 'tiny', workers: 1 }));
        const containers = objects.flatMap((object) => {
          const { spec } = object as { spec?: { template?: { spec: { containers: Container[] } } } };
          return spec?.template?.spec.containers ?? [];
        });
        const map = objects.find(({ kind }) => kind === 'ConfigMap') as unknown as { data: Record<string, string> };
        const etc = cluster.at('etc');
        mkdirSync(etc);
        writeFileSync(join(etc, 'job.yaml'), map.data['job.yaml'] ?? '');
        // Services' names and fixed ports are the cluster's.
        const here = (word: string): string =>
          word
            .replace('nats://tiny-nats:4222', nats.url)
            .replace('tiny-coordinator:50051', `127.0.0.1:${grpc}`)
            .replace(/^50051$/, String(grpc))
            .replace(/^9464$/, String(http))
            .replace(/^9465$/, String(metrics))
            .replace('0.0.0.0', '127.0.0.1')
            .replace('$(POD_NAME)', 'worker-1');
        const start = (role: string, image: string, drop: readonly string[], own: Record<string, string>) => {
          const { command, args } = containers.find(({ name }) => name === role)!;
          const tmp = cluster.at(`tmp-${role}`);
          for (const path of [tmp, ...Object.values(own)]) {
            mkdirSync(path, { recursive: true });
            chownSync(path, user, user);
          }
          const mounts = { '/data': cluster.data, '/etc/showtell': etc, '/tmp': tmp, ...own };
          return build.start(image, [...command, ...args.filter((word) => !drop.includes(word)).map(here)], { mounts });
        };
        const coordinator = start('coordinator', 'coordinator', ['--stay'], { '/runs': cluster.at('runs') });
        const worker = start('worker', 'worker', [], { '/var/cache/showtell/features': cluster.at('features') });
        const [led, computed] = await Promise.all([coordinator.ended, worker.ended]);
        expect(led.code, led.output).toBe(0);
        expect(computed.code, computed.output).toBe(0);
        expect(led.output).toMatch(/"type":"finished".*"outcome":"complete"/);

        // The same bits as where nothing is an image.
        const file = cluster.at('etc/job.yaml');
        await cluster.trained(cluster.at('plain'), { workers: 1, job: file });
        const hash = async (run: string): Promise<unknown> => {
          const shown = await cluster.run(['checkpoint', 'show', run, '--json']);
          return (JSON.parse(shown.stdout) as { parameters: { sha256: string } }).parameters.sha256;
        };
        expect(await hash(cluster.at('runs/tiny'))).toBe(await hash(cluster.at('plain')));
      },
      10 * minutes,
    );

    it('a bill of materials of an image has npm’s packages, Debian’s and TensorFlow’s wheel, the same each time', async () => {
      const bill = async (): Promise<string> =>
        (await build.onRoot('worker', [process.execPath, 'tools/sbom.mjs'])).output;
      const text = await bill();
      expect(await bill()).toBe(text);
      const { components } = JSON.parse(text) as { components: { purl: string }[] };
      const purls = components.map(({ purl }) => purl).join('\n');
      expect(purls).toContain(`pkg:npm/%40showtell/worker@${version}`);
      expect(purls).toMatch(/^pkg:npm\/%40tensorflow\/tfjs-node-gpu@/m);
      expect(purls).toMatch(/^pkg:deb\/debian\/libc6@.*\?arch=/m);
      expect(purls).toMatch(/^pkg:pypi\/tensorflow/m);
      expect(purls).not.toMatch(/typescript|vitest|python3|g%2B%2B/);
    });
  },
);

interface Container {
  readonly name: string;
  readonly command: readonly string[];
  readonly args: readonly string[];
}
