import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import { freePort } from '@showtell/coordinator/local/free-port.js';
import { showtellOnPath } from '../support/documented-commands.js';
import { type LocalCluster, tinyJob } from '../support/local-run.js';
import { startTestNats, type TestNats } from '../support/nats-server.js';
import { writeCocoSet } from '../support/coco-set.js';

interface Done {
  readonly code: number;
  /** Both streams. */
  readonly output: string;
}

/** How a worker is started by hand; it is done beside a run. */
export const joins = 'npx showtell worker --run runs/a';

/** Somebody who types what the documentation says, in a folder with pictures and jobs, small ones. */
export class Reader {
  private readonly path: string;
  private readonly beside: ChildProcess[] = [];
  private ownNats: TestNats | null = null;

  private constructor(
    private readonly cluster: LocalCluster,
    readonly port: number,
  ) {
    this.path = showtellOnPath(cluster.at('bin'));
  }

  static async in(cluster: LocalCluster): Promise<Reader> {
    return new Reader(cluster, await freePort());
  }

  at(name: string): string {
    return this.cluster.at(name);
  }

  private get environment(): NodeJS.ProcessEnv {
    return { ...process.env, PATH: this.path, SHOWTELL_CACHE: this.cluster.cache, NO_COLOR: '1' };
  }

  /** Types a line and waits for its end. */
  types(line: string): Promise<Done> {
    const options = { cwd: this.cluster.folder, env: this.environment, maxBuffer: 1e8 };
    return new Promise((resolve) => {
      execFile('bash', ['-c', line], options, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
      });
    });
  }

  /** Types a line in another terminal and waits until it has said what it should, or has ended. */
  async starts(line: string, hasBegun: (output: string) => boolean): Promise<Done> {
    const options = { cwd: this.cluster.folder, env: this.environment };
    // By env, for a line that begins with a variable.
    const child = spawn('bash', ['-c', `exec env ${line}`], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    this.beside.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    while (!hasBegun(output) && child.exitCode === null) await delay(50);
    return { code: child.exitCode ?? 0, output };
  }

  /** Starts a nats-server of the reader's own. */
  async startNats(): Promise<void> {
    this.ownNats = await startTestNats();
  }

  /** The address of the reader's nats-server. */
  get nats(): string {
    return this.ownNats?.url ?? '';
  }

  /** Ends what runs in every other terminal. */
  async stopOthers(): Promise<void> {
    for (const child of this.beside.splice(0)) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await this.ownNats?.[Symbol.asyncDispose]();
    this.ownNats = null;
  }

  /** What lies in the folder at first. */
  async prepare(): Promise<void> {
    mkdirSync(this.at('examples/jobs'), { recursive: true });
    const phases = { ...tinyJob.phases, decoderOnly: { ...tinyJob.phases.decoderOnly, steps: 150 } };
    const small = { ...tinyJob, name: 'scenes-small', phases, checkpoints: { everySteps: 50, keepLast: 3 } };
    writeFileSync(this.at('examples/jobs/scenes-small.yaml'), JSON.stringify(small));
    for (const name of ['photographs', 'scenes-asynchronous'])
      cpSync(`examples/jobs/${name}.yaml`, this.at(`examples/jobs/${name}.yaml`));
    const captions = (n: number): string[][] =>
      Array.from({ length: n }, (_, i) => [
        'a red bus on the street',
        `a ${['red', 'blue'][i % 2] ?? ''} bus near a tree`,
      ]);
    for (const [annotations, images, pictures] of [
      ['captions.json', 'photographs', 4],
      ['captions_train2014.json', 'train2014', 30],
      ['captions_val2014.json', 'val2014', 40],
    ] as const) {
      const set = await writeCocoSet(this.at(`made-${images}`), captions(pictures));
      renameSync(set.images, this.at(images));
      const content = JSON.parse(readFileSync(set.annotations, 'utf8')) as CocoContent;
      writeFileSync(this.at(annotations), JSON.stringify(shifted(content, pictures * 1000)));
    }
    const picture = readdirSync(this.at('photographs'))[0] ?? '';
    for (const name of ['photo.jpg', 'scene.jpg']) cpSync(this.at(`photographs/${picture}`), this.at(name));
  }

  /** A folder as im2txt leaves it: TFRecords in as many shards for validation as its, and the words. */
  async recordsAlone(folder: string): Promise<void> {
    const sets = '--annotations captions_train2014.json --images train2014';
    const more = '--val-annotations captions_val2014.json --val-images val2014 --val-shards 4 --min-word-count 1';
    const done = await this.types(`showtell data build-coco ${sets} ${more} --out ${folder}`);
    expect(done.code, done.output).toBe(0);
    for (const name of readdirSync(this.at(folder)))
      if (!/^\w+-\d+-of-\d+$|^word_counts\.txt$/.test(name)) rmSync(join(this.at(folder), name), { recursive: true });
  }

  /** A run's newest values as a TensorFlow checkpoint of that prefix. */
  async exported(run: string, prefix: string): Promise<void> {
    const out = `${prefix}.exported`;
    const done = await this.types(`showtell checkpoint export ${run} --format tensorflow --out ${out}`);
    expect(done.code, done.output).toBe(0);
    mkdirSync(dirname(this.at(prefix)), { recursive: true });
    for (const name of readdirSync(this.at(out))) {
      const ending = /\.(index|data-\d+-of-\d+)$/.exec(name)?.[0];
      if (ending !== undefined) renameSync(join(this.at(out), name), this.at(prefix) + ending);
    }
  }

  /** Trains `runs/a` anew, joined by a worker, until its guard ends it before the joint phase. */
  async unmetGuard(): Promise<void> {
    await this.stopOthers();
    rmSync(this.at('runs/a'), { recursive: true });
    const joint = { ...tinyJob.phases.joint, guard: { maxPerplexityRatio: 0.0001 } };
    // So long that a worker is there before its end.
    const decoderOnly = { ...tinyJob.phases.decoderOnly, steps: 150 };
    this.cluster.writeJob('guarded', { ...tinyJob, phases: { decoderOnly, joint } });
    const trained = this.types('showtell train guarded.yaml --run runs/a --data data/scenes --workers 1');
    while (!existsSync(this.at('runs/a/processes/coordinator.json'))) await delay(20);
    const joined = await this.types(joins);
    expect(joined.code, joined.output).toBe(0);
    expect((await trained).code).toBe(10);
  }
}

interface CocoContent {
  readonly images: readonly { readonly id: number }[];
  readonly annotations: readonly { readonly id: number; readonly image_id: number }[];
}

/** With ids of its own, as COCO's two files have. */
function shifted({ images, annotations }: CocoContent, by: number): CocoContent {
  return {
    images: images.map((image) => ({ ...image, id: image.id + by })),
    annotations: annotations.map((each) => ({ ...each, id: each.id + by, image_id: each.image_id + by })),
  };
}
