import type { VersionId } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { Broker } from './broker.js';
import { Coordinator, type Product } from './coordinator.js';
import type { Value } from './server.js';
import { Violation } from './violation.js';
import { Worker } from './worker.js';

/** What goes wrong, each so many times at the most. */
export interface Faults {
  /** A worker is killed; another takes its place. */
  readonly crash: number;
  /** The coordinator learns that a worker's stream is over; the worker does not yet. */
  readonly cut: number;
  /** A gradient's request or its answer is lost. */
  readonly lose: number;
  /** A gradient comes a second time. */
  readonly repeat: number;
  /** A worker cannot compute a unit, and says so. */
  readonly fail: number;
  /** A lease runs out though its holder lives. */
  readonly expire: number;
  /** Workers hang for so long that the coordinator offers what they hold to others. */
  readonly silent: number;
  /** Units that the current step waits for are offered to idle workers too. */
  readonly lag: number;
  /** The broker comes back without its memory. */
  readonly forget: number;
  /** The coordinator is killed. */
  readonly kill: number;
  /** A second coordinator begins while the first one lives. */
  readonly overtake: number;
  /** The run goes back to its checkpoint under a higher lineage. */
  readonly rollback: number;
}

export type Fault = keyof Faults;

export interface Bounds {
  readonly workers: number;
  /** A step. */
  readonly units: number;
  readonly steps: number;
  readonly lookAhead: number;
  /** Of the asynchronous mode; null: synchronous. */
  readonly maxStaleness: number | null;
  /** Checkpoints written. */
  readonly saves: number;
  readonly faults: Faults;
  /** Of all kinds together. */
  readonly totalFaults: number;
}

/** A version on disk. */
export interface Saved {
  readonly lineage: number;
  readonly step: number;
  readonly value: Value;
  readonly missing: readonly number[];
}

/** Broker, coordinators and workers of one run, and the disk; what happens next is said from outside. */
export class World implements Disposable {
  private readonly broker = new Broker();
  private readonly coordinators: Coordinator[] = [];
  /** By place; null: one that is to join. */
  private readonly workers: (Worker | null)[];
  private born = 0;
  private checkpoint: Saved = { lineage: 1, step: 0, value: '', missing: [] };
  private lineage = 1;
  /** Where the run went back to; the steps from there on are of the higher lineage. */
  private rolledBackTo = Infinity;
  private saves = 0;
  private readonly happened: Partial<Record<Fault, number>> = {};
  newestGeneration = 0;
  /** The value with which the run ended. */
  final: Value | null = null;

  constructor(
    readonly bounds: Bounds,
    private readonly parts: Product,
  ) {
    this.workers = Array.from({ length: bounds.workers }, () => null);
    this.begin();
  }

  private begin(): void {
    this.newestGeneration++;
    const from = { ...this.checkpoint, lineage: this.lineage };
    this.coordinators.push(new Coordinator(this, this.newestGeneration, from, this.broker, this.parts));
  }

  /** A coordinator's step counts. */
  account(value: Value, version: VersionId): void {
    if (version.generation !== this.newestGeneration)
      throw new Violation(`step ${version.step} counts for a coordinator that another has overtaken`);
    this.check(value, version);
  }

  finish(value: Value, version: { readonly lineage: number; readonly step: number }): void {
    this.check(value, version);
    if (this.final !== null && this.final !== value && this.bounds.maxStaleness === null)
      throw new Violation(`it ended with both ${this.final} and ${value}`);
    this.final = value;
  }

  /** A value has each unit of each step once, in order of steps, those after a rollback computed anew. */
  private check(value: Value, { lineage, step }: { readonly lineage: number; readonly step: number }): void {
    if (this.bounds.maxStaleness !== null) {
      this.checkOnce(value, step);
      return;
    }
    const units = Array.from({ length: this.bounds.units }, (_, index) => index).join('');
    const lineageOf = (at: number): number => (at >= this.rolledBackTo ? lineage : 1);
    const meant = Array.from({ length: step }, (_, at) => `${lineageOf(at)}/${at}:${units} `).join('');
    if (value !== meant) throw new Violation(`version ${step} is "${value}", not "${meant}"`);
  }

  /** As many units as updates, each once; at the end all of them. */
  private checkOnce(value: Value, step: number): void {
    const applied = unitsOf(value);
    if (new Set(applied).size !== applied.length) throw new Violation(`a unit counts twice in "${value}"`);
    if (applied.length !== step) throw new Violation(`version ${step} is "${value}"`);
    if (step === this.bounds.steps && applied.some((unit) => unit >= step))
      throw new Violation(`the run ended with "${value}"`);
  }

  private get faultsLeft(): number {
    return this.bounds.totalFaults - Object.values(this.happened).reduce((sum, count) => sum + count, 0);
  }

  private may(fault: Fault): boolean {
    return this.faultsLeft > 0 && (this.happened[fault] ?? 0) < this.bounds.faults[fault];
  }

  /** What may happen next without anything going wrong. */
  steps(): string[] {
    if (this.final !== null) return [];
    const actions: string[] = [];
    for (const [i, coordinator] of this.coordinators.entries()) {
      if (!coordinator.lives) continue;
      if (coordinator.mustRestore) actions.push(`restore ${i}`);
      if (coordinator.generation < this.newestGeneration) actions.push(`watch ${i}`);
      if (coordinator.beside.due.length > 0) actions.push(`timer ${i}`);
      const { step, lineage } = coordinator.server.version;
      const isNewer = lineage === this.checkpoint.lineage ? step > this.checkpoint.step : step > 0;
      if (isNewer && this.saves < this.bounds.saves) actions.push(`save ${i}`);
    }
    if (!this.coordinators.some(({ lives }) => lives)) actions.push('begin');
    for (const [i, worker] of this.workers.entries()) {
      if (worker === null) {
        if (this.newest !== null) actions.push(`join ${i}`);
        continue;
      }
      if (worker.session.toCoordinator.length > 0) actions.push(`deliver ${i}`);
      if (worker.session.toWorker.length > 0) actions.push(`hear ${i}`);
      for (const lane of ['now', 'ahead'] as const) if (worker.canPull(lane)) actions.push(`pull ${i} ${lane}`);
      if (worker.versionIsThere) actions.push(`read ${i}`);
      if (worker.canCompute) actions.push(`compute ${i}`);
      for (const [j, push] of worker.pushes.entries()) {
        if (push.answer !== null) actions.push(`answer ${i} ${j}`);
        else if (push.to.lives) actions.push(`arrive ${i} ${j}`);
        else {
          actions.push(`lost ${i} ${j}`);
          // The channel finds another coordinator at the same address.
          if (this.newest !== null) actions.push(`divert ${i} ${j}`);
        }
      }
    }
    // The leases of those who are gone run out by themselves.
    for (const holder of this.broker.holders) if (!this.isThere(holder)) actions.push(`lapse ${holder}`);
    return actions;
  }

  /** What may go wrong next. */
  faults(): string[] {
    if (this.final !== null || this.faultsLeft <= 0) return [];
    const actions: string[] = [];
    const lives = this.coordinators.flatMap(({ lives }, i) => (lives ? [i] : []));
    if (this.may('kill')) actions.push(...lives.map((i) => `kill ${i}`));
    if (this.may('overtake') && lives.length > 0) actions.push('overtake');
    if (this.may('silent')) actions.push(...lives.map((i) => `silent ${i}`));
    if (this.may('lag')) actions.push(...lives.filter((i) => this.coordinators[i]?.mayHurry).map((i) => `lag ${i}`));
    if (this.may('rollback') && this.newest !== null && this.newest.server.version.step > this.checkpoint.step)
      actions.push('rollback');
    if (this.may('forget')) actions.push('forget');
    for (const [i, worker] of this.workers.entries()) {
      if (worker === null) continue;
      if (this.may('crash')) actions.push(`crash ${i}`);
      if (this.may('fail') && worker.canCompute) actions.push(`fail ${i}`);
      if (this.may('cut') && worker.session.toWorker.at(-1) !== 'end') actions.push(`cut ${i}`);
      for (const [j, push] of worker.pushes.entries()) {
        if (this.may('lose')) actions.push(`lose ${i} ${j}`);
        if (this.may('repeat') && push.answer !== null && push.to.lives) actions.push(`repeat ${i} ${j}`);
      }
    }
    if (this.may('expire'))
      for (const holder of this.broker.holders) if (this.isThere(holder)) actions.push(`expire ${holder}`);
    return actions;
  }

  /** All but the first worker are killed; the first is there, or comes. */
  loseWorkersButOne(): void {
    for (const [i, worker] of this.workers.entries()) {
      if (i === 0) continue;
      worker?.session.endAtCoordinator();
      worker?.[Symbol.dispose]();
    }
    this.workers.length = 1;
  }

  private isThere(id: string): boolean {
    return this.workers.some((worker) => worker?.id === id);
  }

  /** The coordinator that workers find. */
  private get newest(): Coordinator | null {
    const newest = this.coordinators.at(-1);
    return newest?.lives === true ? newest : null;
  }

  /** Lets something happen, and all that follows from it at once. */
  async do(action: string): Promise<void> {
    const [what = '', first = '', second = ''] = action.split(' ');
    if (what in this.bounds.faults) this.happened[what as Fault] = (this.happened[what as Fault] ?? 0) + 1;
    const coordinator = this.coordinators[Number(first)];
    const worker = this.workers[Number(first)] ?? null;
    if (['restore', 'timer', 'watch', 'save', 'kill', 'silent', 'lag'].includes(what)) {
      if (coordinator !== undefined) await this.doAtCoordinator(what, coordinator);
    } else if (what === 'join') this.join(Number(first));
    else if (what === 'begin' || what === 'overtake') this.begin();
    else if (what === 'lapse' || what === 'expire') this.broker.expire(first);
    else if (what === 'rollback') this.rollBack();
    else if (what === 'forget') {
      this.broker.restart();
      for (const one of this.coordinators) one.mustRestore = one.lives;
    } else if (worker !== null) this.doAtWorker(what, worker, Number(first), second);
    // Everything a promise was waiting for has happened then.
    await new Promise((resolve) => setImmediate(resolve));
  }

  private join(place: number): void {
    const { newest } = this;
    if (newest !== null)
      this.workers[place] = new Worker(
        `w${place}.${this.born++}`,
        newest,
        this.broker,
        this.parts,
        this.bounds.maxStaleness,
      );
  }

  private rollBack(): void {
    this.lineage++;
    this.rolledBackTo = this.checkpoint.step;
    this.checkpoint = { ...this.checkpoint, lineage: this.lineage };
    this.newest?.rollBack(this.checkpoint);
  }

  private async doAtCoordinator(what: string, coordinator: Coordinator): Promise<void> {
    if (what === 'restore') coordinator.restore();
    else if (what === 'timer') await coordinator.beside.due.shift()?.work();
    else if (what === 'kill') coordinator.end();
    else if (what === 'watch') coordinator.watch();
    else if (what === 'silent') coordinator.suspectAll();
    else if (what === 'lag') coordinator.hurry();
    else {
      this.saves++;
      const saved = coordinator.save();
      if (saved === null) return;
      this.check(saved.value, saved);
      if (saved.lineage < this.lineage) throw new Violation(`a checkpoint of lineage ${saved.lineage} is written`);
      if (saved.step < this.checkpoint.step)
        throw new Violation(`version ${saved.step} takes the place of a later one`);
      this.checkpoint = saved;
    }
  }

  private doAtWorker(what: string, worker: Worker, place: number, second: string): void {
    const push = worker.pushes[Number(second)];
    if (what === 'deliver') worker.session.deliver();
    else if (what === 'hear') {
      if (worker.hear()) return;
      worker.leave();
      this.workers[place] = null;
    } else if (what === 'pull') worker.pull(second === 'now' ? 'now' : 'ahead');
    else if (what === 'read') worker.readVersion();
    else if (what === 'compute') worker.compute();
    else if (what === 'fail') worker.fail();
    else if (what === 'cut') worker.session.endAtCoordinator();
    else if (what === 'crash') {
      worker.session.endAtCoordinator();
      worker[Symbol.dispose]();
      this.workers[place] = null;
    } else if (push === undefined) throw new Error(`there is no ${what} ${place} ${second}`);
    else if (what === 'arrive') push.answer = push.to.push(push.gradient);
    else if (what === 'repeat') push.to.push(push.gradient);
    else if (what === 'divert') push.to = this.newest ?? push.to;
    else worker.settle(push, what === 'answer' ? push.answer : null);
  }

  /** Everything that what happens next depends on, the same for worlds that differ in the names of workers only. */
  describe(): string {
    const { happened, saves, lineage, checkpoint } = this;
    const parts = [
      ...[this.broker.describe(), ...this.coordinators.map((one) => one.describe())],
      ...[JSON.stringify([happened, saves, lineage, checkpoint, this.final])],
    ];
    const workers = this.workers.map((worker) => worker?.describe() ?? '-');
    // Names in the order in which the workers stand once sorted without them.
    const nameless = (text: string): string => text.replaceAll(/w\d+\.\d+/gu, 'w');
    const sorted = [...workers].sort((a, b) => (nameless(a) < nameless(b) ? -1 : 1));
    const names = new Map<string, string>();
    const named = (text: string): string =>
      text.replaceAll(/w\d+\.\d+/gu, (name) => {
        const known = names.get(name) ?? `w${names.size}`;
        names.set(name, known);
        return known;
      });
    return [...sorted, ...parts].map(named).join('\n');
  }

  [Symbol.dispose](): void {
    for (const worker of this.workers) worker?.[Symbol.dispose]();
  }
}

/** The units that an asynchronous run's value is made of, in the order in which they were applied. */
function unitsOf(value: Value): number[] {
  return value
    .split(' ')
    .filter((part) => part !== '')
    .map((part) => Number(/\/(\d+)/u.exec(part)?.[1]));
}
