import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { writeCocoSet } from '../../support/coco-set.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const showtell = fileURLToPath(new URL('../../../packages/coordinator/bin/showtell.js', import.meta.url));

function build(annotations: string, images: string, out: string) {
  const shards = ['--train-shards', '40', '--val-shards', '4', '--test-shards', '8', '--threads', '1'];
  const args = ['data', 'build-coco', '--annotations', annotations, '--images', images, '--out', out, '--json', ...shards];
  return spawn(process.execPath, [showtell, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function finish(child: ReturnType<typeof build>): Promise<{ code: unknown; out: string; err: string }> {
  const [out, err] = [[] as Buffer[], [] as Buffer[]];
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => err.push(bytes));
  const [code] = (await once(child, 'close')) as unknown[];
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}

it('a build killed by SIGKILL goes on with the same command, to the same bytes', async () => {
  const folder = temporaryFolder();
  const captions = Array.from({ length: 120 }, (_, i) => Array.from({ length: 8 }, (__, n) => `picture ${i} said ${n}`));
  const { annotations, images } = await writeCocoSet(folder, captions);
  const out = join(folder, 'out');
  const killed = build(annotations, images, out);
  while (!existsSync(join(out, 'train-00005-of-00040.index'))) {
    expect(killed.exitCode).toBeNull();
    await setTimeout(2);
  }
  killed.kill('SIGKILL');
  await once(killed, 'close');
  expect(existsSync(join(out, 'dataset.json'))).toBe(false);

  const resumed = await finish(build(annotations, images, out));
  expect(resumed).toMatchObject({ code: 0 });
  const whole = join(folder, 'whole');
  expect(await finish(build(annotations, images, whole))).toMatchObject({ code: 0 });
  expect(readdirSync(out).sort()).toEqual(readdirSync(whole).sort());
  for (const name of readdirSync(out)) {
    expect(readFileSync(join(out, name)).equals(readFileSync(join(whole, name))), name).toBe(true);
  }
  const summary = JSON.parse(resumed.out) as { splits: { train: object } };
  expect(summary.splits.train).toEqual({ records: 816, images: 102, shards: 40, excluded: 0 });

  const broken = await finish(build(join(folder, 'none.json'), images, join(folder, 'other')));
  expect(broken.code).toBe(66);
  expect(broken.err).toContain('none.json does not exist');
}, 60_000);
