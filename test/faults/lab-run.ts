import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunEvent } from '@showtell/coordinator/run.js';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import type { Job } from '@showtell/shared/job/job.js';
import { random } from '@showtell/shared/random.js';
import type { Target } from './fault-kinds.js';
import { stepsOf, shardNames } from './lab-job.js';
import { scheduledJob, type Lab } from './lab.js';
import { MeddlingProxy } from './meddling-proxy.js';
import { ownPort } from './ports.js';
import { ProcessControl } from './preload.js';
import { Role, type RoleCommand } from './role.js';
import type { Schedule } from './schedule.js';
import type { ToxicLink } from './toxiproxy.js';

const root = new URL('../../packages/', import.meta.url);
const showtell = fileURLToPath(new URL('coordinator/bin/showtell.js', root));
const worker = fileURLToPath(new URL('worker/bin/showtell-worker.js', root));

const runDiskMiB = 24;
/** Each way, while several schedules are done to one run. */
const chainedLatencyMs = 80;
/** A process that ends so often, for one schedule, does not come to work any more. */
const mostStarts = 25;
export const workerNames = ['worker-1', 'worker-2'] as const;
type ShardName = (typeof shardNames)[number];
/** To the coordinator, to nats-server, to a shard. */
export type LinkName = 'grpc' | 'nats' | ShardName;

/** A line that the coordinator printed. */
export type PrintedEvent = Pick<RunEvent, 'type' | 'step'>;

/** The way from clients to a server: Toxiproxy where it is there, then the proxy that changes content. */
export interface Link {
  readonly port: number;
  readonly toxic: ToxicLink | null;
  readonly meddler: MeddlingProxy;
}

/** One run of a schedule: nats-server, coordinator and two workers as processes, each started again when it ends. */
export class LabRun implements AsyncDisposable {
  readonly folder: string;
  readonly run: string;
  readonly temporary: string;
  /** What each start of the coordinator printed. */
  readonly printed: PrintedEvent[][] = [];
  private readonly links = new Map<LinkName, Link>();
  readonly controls = new Map<string, ProcessControl>();
  /** Gradients of the lab's own that each generation refused as not finite. */
  readonly refused = new Map<number, number>();
  private readonly roles = new Map<string, Role>();
  private readonly mounted: string[] = [];
  readonly job: Job;
  private readonly shardPorts = new Map<ShardName, number>();
  private ports = { grpc: 0, http: 0, nats: 0 };

  private constructor(
    readonly lab: Lab,
    readonly schedule: Schedule,
    name: string,
  ) {
    this.folder = lab.at(name);
    this.job = scheduledJob(lab.job, schedule);
    this.run = join(this.folder, 'run');
    this.temporary = join(this.folder, 'tmp');
  }

  static async start(lab: Lab, schedule: Schedule, name: string): Promise<LabRun> {
    const run = new LabRun(lab, schedule, name);
    for (const folder of ['run', 'tmp', 'logs', 'nats', 'home'])
      mkdirSync(join(run.folder, folder), { recursive: true });
    if (lab.mounts) run.mount('tmpfs', run.run, ['-t', 'tmpfs', '-o', `size=${runDiskMiB}m`]);
    for (const id of workerNames) cpSync(lab.data, run.dataOf(id), { recursive: true });
    writeFileSync(run.jobFile, JSON.stringify(run.job));
    run.ports = { grpc: await ownPort(), http: await ownPort(), nats: await ownPort() };
    for (const name of run.shardNames) run.shardPorts.set(name, await ownPort());
    await run.openLink('grpc', run.ports.grpc, name);
    await run.openLink('nats', run.ports.nats, name);
    for (const [shard, port] of run.shardPorts) await run.openLink(shard, port, name);
    if (schedule.schedules > 1) await run.slowDown();
    run.startRoles();
    return run;
  }

  /** Of the parameter server; none: the coordinator holds the parameters. */
  get shardNames(): readonly ShardName[] {
    return this.schedule.cluster === 'shards' ? shardNames : [];
  }

  get jobFile(): string {
    return join(this.folder, 'job.json');
  }

  /** Each worker has its own copy of the data. */
  dataOf(id: string): string {
    return join(this.folder, `data-${id}`);
  }

  get natsStore(): string {
    return join(this.folder, 'nats');
  }

  /** Straight to nats-server, past all harm. */
  get natsUrl(): string {
    return `nats://127.0.0.1:${this.ports.nats}`;
  }

  get grpcAddress(): string {
    return `127.0.0.1:${this.ports.grpc}`;
  }

  get httpUrl(): string {
    return `http://127.0.0.1:${this.ports.http}`;
  }

  link(name: LinkName): Link {
    const link = this.links.get(name);
    if (link === undefined) throw new RangeError(`there is no way to ${name}`);
    return link;
  }

  role(name: Target): Role {
    const role = this.roles.get(name);
    if (role === undefined) throw new RangeError(`there is no process ${name}`);
    return role;
  }

  get allRoles(): readonly Role[] {
    return [...this.roles.values()];
  }

  /** Steps until it is complete. */
  get steps(): number {
    return stepsOf(this.schedule);
  }

  /** The farthest step any coordinator came to. */
  get step(): number {
    let step = -1;
    for (const events of this.printed) for (const event of events) if (event.step > step) step = event.step;
    return step;
  }

  get isFinished(): boolean {
    return this.printed.at(-1)?.at(-1)?.type === 'finished';
  }

  /** @returns how to undo it */
  mount(source: string, place: string, args: readonly string[]): () => void {
    const mount = () => spawnSync('mount', [...args, source, place], { encoding: 'utf8' });
    let { status, stderr } = mount();
    // Nothing becomes read-only while a file there is being written.
    for (let tries = 0; status !== 0 && stderr.includes('busy') && tries < 200; tries++) ({ status, stderr } = mount());
    if (status !== 0) throw new Error(`${place} could not be mounted: ${stderr}`);
    this.mounted.push(place);
    return () => {
      spawnSync('umount', ['-l', place]);
      this.mounted.splice(this.mounted.lastIndexOf(place), 1);
    };
  }

  /** Whatever runs still is killed; the folder goes. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const role of this.roles.values()) role.retire();
    for (const role of this.roles.values()) role.signal('SIGKILL');
    for (const control of this.controls.values()) control[Symbol.dispose]();
    for (const { toxic, meddler } of this.links.values()) {
      await toxic?.[Symbol.asyncDispose]().catch(() => undefined);
      await meddler[Symbol.asyncDispose]();
    }
    while (this.allRoles.some(({ closed }) => !closed)) await delay(10);
    for (const place of this.mounted.splice(0).reverse()) spawnSync('umount', ['-l', place]);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private async openLink(name: LinkName, port: number, run: string): Promise<void> {
    const draw = random(this.schedule.seed, 'meddling', name);
    const meddler = await MeddlingProxy.open(port, name === 'nats' ? 'nats' : 'bytes', draw);
    const toxic = (await this.lab.toxiproxy?.open(`${run}-${name}`, meddler.port)) ?? null;
    this.links.set(name, { port: toxic?.port ?? meddler.port, toxic, meddler });
  }

  /** Steps take half a second then, which costs no computing: a schedule's faults are over before the next one's. */
  private async slowDown(): Promise<void> {
    for (const stream of ['upstream', 'downstream'] as const)
      await this.link('grpc').toxic?.add({ type: 'latency', stream, attributes: { latency: chainedLatencyMs } });
  }

  private startRoles(): void {
    const { nats, grpc, http } = this.ports;
    this.add('nats', {
      program: this.lab.natsServer,
      args: ['-a', '127.0.0.1', '-p', String(nats), '-js', '-sd', this.natsStore],
      isDone: () => false,
    });
    const flags = [
      '--grpc-port',
      String(grpc),
      '--http-port',
      String(http),
      '--nats',
      `nats://127.0.0.1:${this.link('nats').port}`,
    ];
    for (const [id, port] of this.shardPorts)
      this.add(id, {
        program: process.execPath,
        args: [showtell, 'ps', '--grpc-port', String(port), '--http-port', '0'],
        isDone: () => false,
      });
    const shards = this.shardNames.map((name) => `127.0.0.1:${this.link(name).port}`);
    if (shards.length > 0) flags.push('--shards', shards.join());
    this.add('coordinator', {
      program: process.execPath,
      args: [showtell, 'coordinator', this.jobFile, '--run', this.run, '--data', this.lab.data, ...flags, '--stay'],
      isDone: () => false,
      onStart: () => void this.printed.push([]),
      onLine: (line) => {
        if (line.startsWith('{"type"')) this.printed.at(-1)?.push(JSON.parse(line) as PrintedEvent);
      },
    });
    for (const id of workerNames) {
      const where = [
        '--coordinator',
        `127.0.0.1:${this.link('grpc').port}`,
        '--job',
        this.jobFile,
        '--data',
        this.dataOf(id),
      ];
      this.add(id, {
        program: process.execPath,
        args: [worker, ...where, '--id', id, '--until-complete', '--wait', '120s'],
        isDone: ({ code }) => code === 0,
      });
    }
  }

  private add(name: string, command: Omit<RoleCommand, 'name' | 'env' | 'logFile' | 'mostStarts'>): void {
    const env: NodeJS.ProcessEnv = {
      TMPDIR: this.temporary,
      // The engine's cache is the user's; what features it keeps are in memory.
      SHOWTELL_CACHE: cacheFolder(),
      TF_CPP_MIN_LOG_LEVEL: '2',
      SHOWTELL_LAB: this.folder,
    };
    if (this.lab.preload !== null && name !== 'nats') {
      const control = new ProcessControl(this.lab.preload, join(this.folder, `${name}.control`), this.run);
      this.controls.set(name, control);
      Object.assign(env, control.environment);
    }
    const logFile = join(this.folder, 'logs', `${name}.log`);
    const role = new Role({ ...command, name, env, logFile, mostStarts: mostStarts * this.schedule.schedules });
    this.roles.set(name, role);
    role.start();
  }
}

/** Processes that were started with this run's mark, by whomever. */
export function processesOf(folder: string): number[] {
  const mark = `SHOWTELL_LAB=${folder}\0`;
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid > 0 && pid !== process.pid)
    .filter((pid) => environmentOf(pid).includes(mark));
}

function environmentOf(pid: number): string {
  try {
    return `${readFileSync(`/proc/${pid}/environ`, 'latin1')}\0`;
  } catch {
    // It has ended.
    return '';
  }
}
