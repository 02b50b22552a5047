import { Beside } from '@showtell/coordinator/beside.js';
import { Dispatcher } from '@showtell/coordinator/dispatcher.js';
import type { OfferedUnit } from '@showtell/coordinator/offered-units.js';
import { openSteps } from '@showtell/coordinator/open-steps.js';
import { judge as realJudge } from '@showtell/coordinator/parameter-server/verdict.js';
import { StepTraces } from '@showtell/coordinator/step-traces.js';
import type { Fault } from '@showtell/coordinator/unit-faults.js';
import { returnMs } from '@showtell/coordinator/unit-judge.js';
import { offerOrphansSoon, workerEvents } from '@showtell/coordinator/worker-events.js';
import { Workers } from '@showtell/coordinator/workers.js';
import { openLog } from '@showtell/shared/service/log.js';
import { Command_Kind, Phase } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { Broker } from './broker.js';
import { Server, type Gradient } from './server.js';
import type { Verdict } from './worker.js';
import type { Saved, World } from './world.js';

/** The parts of the product that a seeded bug replaces, to see that it is found. */
export interface Product {
  readonly judge: typeof realJudge;
  readonly Dispatcher: typeof Dispatcher;
  /** Whether a coordinator looks for a newer one before what it did counts. */
  readonly assertsGeneration: boolean;
  /** Whether what a broker forgot is published anew. */
  readonly restoresQueue: boolean;
  /** Whether a worker settles a unit only when the verdict is in. */
  readonly settlesByVerdict: boolean;
}

export const product: Product = {
  judge: realJudge,
  Dispatcher,
  assertsGeneration: true,
  restoresQueue: true,
  settlesByVerdict: true,
};

/** What is held against a unit. */
interface Case {
  readonly faults: { readonly failures: readonly Fault[]; readonly refusals: readonly Fault[] };
  readonly isPending: boolean;
}

/** What the dispatcher keeps. */
interface Inside {
  readonly units: {
    readonly all: readonly (readonly [string, OfferedUnit])[];
    readonly current: number;
    readonly currentSince: number;
    readonly latestSettled: number;
  };
  readonly judge: { readonly cases: ReadonlyMap<string, Case> };
  readonly gaps: readonly number[];
  readonly horizon: number;
  readonly suspectBefore: number;
  readonly lastResults: ReadonlyMap<string, number>;
}

/** How many of the others come before each. */
function ranks(values: readonly number[]): number[] {
  return values.map((value) => values.filter((other) => other < value).length);
}

/** A clock that the explorer turns. */
class Later extends Beside {
  readonly due: { readonly what: string; readonly work: () => Promise<void> }[] = [];

  override startIn(_ms: number, what: string, work: () => Promise<void>): void {
    this.due.push({ what, work });
  }
}

const log = openLog({ fields: {}, level: 'silent' });
const nothing = { inc: () => undefined, set: () => undefined } as never;

/** A coordinator: the real dispatcher, the real members, and the order in which a run's loop calls them. */
export class Coordinator {
  readonly workers: Workers;
  readonly beside = new Later(log);
  readonly server: Server;
  private readonly dispatcher: Dispatcher;
  /** Whether it still runs. */
  lives = true;
  /** Whether it has not yet noticed that the broker forgot everything. */
  mustRestore = false;

  constructor(
    private readonly world: World,
    readonly generation: number,
    from: Saved,
    broker: Broker,
    private readonly parts: Product,
  ) {
    const { bounds } = world;
    this.server = new Server(generation, bounds.units, bounds.maxStaleness, from, parts.judge);
    this.dispatcher = new parts.Dispatcher({
      run: 'run',
      jobSha256: '',
      generation,
      isAsynchronous: bounds.maxStaleness !== null,
      plan: {
        units: (step) => Array.from({ length: bounds.units }, (_, index) => ({ step, index, records: [], seed: 0 })),
      },
      queue: broker.open(generation),
      traces: new StepTraces(),
      workers: () => this.workers,
      describe: () => '',
      onOfferedAgain: () => undefined,
      onBrokerAway: () => undefined,
      onSuspectStep: (step) => offerOrphansSoon(this.beside, this.dispatcher, step),
      soon: (what, work) => this.beside.startIn(500, what, work),
      later: (what, work) => this.beside.startIn(returnMs, what, work),
      // Workers are lost with a unit here as often as they please; a run would end for it.
      onPoison: () => undefined,
    });
    const series = { workers: nothing, workersRefused: nothing, unitsRedelivered: nothing };
    this.workers = new Workers(
      { version: '1', jobSha256: '', datasetDigest: '' },
      {
        ...{ run: 'run', jobSha256: '', generation, natsUrl: '', unitStream: '', shards: [] },
        ...{ sharedMemory: '', sharedMemoryNonce: '' },
      },
      workerEvents({
        ...{ series, log, beside: this.beside, dispatcher: this.dispatcher },
        ...{ server: { forgetWorker: async () => undefined }, workers: () => this.workers },
      }),
    );
    this.announce();
    void this.dispatcher.restart(from.step, from.lineage, from.missing).then(() => this.takeNext());
  }

  private takeNext(): Promise<void> {
    const { steps, lookAhead, maxStaleness } = this.world.bounds;
    const { missing } = this.server;
    const { step } = this.server.version;
    const job = {
      asynchronous: maxStaleness === null ? null : { maxStaleness, warmStartSteps: 0 },
      cluster: { lookAhead },
    };
    const state = { step, phase: 'decoder-only', switchedAt: null, missing } as const;
    const open = openSteps(job, state, step + missing.length, steps, 0, () => false);
    this.server.openUntil = open.until;
    return this.dispatcher.advance(step, open, 'decoder-only');
  }

  private announce(): void {
    this.workers.announce({ id: this.server.version, phase: Phase.PHASE_DECODER_ONLY, segments: [] });
  }

  /** Takes a gradient, as the service's handler and what follows a verdict do. */
  push(gradient: Gradient): Verdict {
    const { verdict, complete } = this.server.push(gradient);
    const unit = gradient.header.unit as UnitId;
    if (verdict.kind === 'invalid') throw new Error(`the explorer sent something invalid: ${verdict.detail}`);
    const counts = verdict.kind === 'wanted' || verdict.kind === 'accepted';
    if (counts) this.dispatcher.settle(unit, gradient.header.worker);
    else this.beside.start(() => this.dispatcher.overtaken(unit, gradient.header.worker));
    if (complete) this.completeStep();
    return counts ? 'accepted' : verdict.kind === 'duplicate' ? 'duplicate' : 'stale';
  }

  private completeStep(): void {
    this.server.advance();
    this.announce();
    if (!this.assertCurrent()) return;
    const { step } = this.server.version;
    this.world.account(this.server.value, this.server.version);
    if (step < this.world.bounds.steps) {
      this.beside.start(() => this.takeNext());
      return;
    }
    this.world.finish(this.server.value, this.server.version);
    this.lives = false;
    this.workers.dismiss(Command_Kind.KIND_COMPLETE, '');
    this.workers.close();
  }

  /** Ends when another has taken over. @returns whether it goes on */
  assertCurrent(): boolean {
    return !this.parts.assertsGeneration || this.watch();
  }

  /** What it looks for once a second. */
  watch(): boolean {
    if (this.generation === this.world.newestGeneration) return true;
    this.end();
    return false;
  }

  /** The present version, as it is written to disk; null when another coordinator has the run. */
  save(): Saved | null {
    const { lineage, step } = this.server.version;
    const { value, missing } = this.server;
    return this.assertCurrent() ? { lineage, step, value, missing } : null;
  }

  /** Goes back to a checkpoint under a higher lineage. */
  rollBack(to: Saved): void {
    this.server.begin(to);
    this.announce();
    this.beside.start(() => this.dispatcher.restart(to.step, to.lineage, to.missing).then(() => this.takeNext()));
  }

  /** The broker is back without its memory. */
  restore(): void {
    this.mustRestore = false;
    if (this.parts.restoresQueue) this.beside.start(() => this.dispatcher.republish());
  }

  /** Whoever holds units has not been heard of for a lease's length. */
  suspectAll(): void {
    for (const { worker, unit } of this.workers.expire(-1))
      this.beside.start(() => this.dispatcher.offerAgain(unit, 'worker-silent', worker.id));
  }

  /** Whether an idle worker could be asked for what another holds. */
  get mayHurry(): boolean {
    return this.workers.list.length > 1 && this.workers.list.some(({ leases }) => leases.size > 0);
  }

  /** Everything that the current step waits for lags. */
  hurry(): void {
    this.dispatcher.offerLagging(() => -Infinity);
  }

  /** It is killed. */
  end(): void {
    this.lives = false;
    this.workers.close();
  }

  /** All that its next steps depend on: no state may be taken for another one that goes on otherwise. */
  describe(): string {
    const inside = this.dispatcher as unknown as Inside;
    const { units, judge, gaps, horizon, suspectBefore, lastResults } = inside;
    const { all: held, current, currentSince, latestSettled } = units;
    const { maxStaleness, faults } = this.world.bounds;
    // Which was published before which, and before what is settled; since when each is awaited, where that decides.
    const published = maxStaleness === null ? [] : ranks([...held.map(([, { order }]) => order), latestSettled]);
    const since = ([key, { madeAt, offeredAt, triedBy }]: readonly [string, OfferedUnit]): number => {
      const leases = this.workers.holders(key).map(({ id }) => this.workers.leaseOf(id, key)?.since ?? 0);
      return Math.max(madeAt, offeredAt, maxStaleness === null ? currentSince : 0, ...leases, ...triedBy.values());
    };
    const awaited = faults.lag === 0 ? [] : ranks(held.map(since));
    const offers = held.map(([key, offered], i) => {
      const { offer, lane, postponed, triedBy, undoneBy, isPutOff } = offered;
      const accused = judge.cases.get(key);
      const blamed = [...(accused?.faults.failures ?? []), '/', ...(accused?.faults.refusals ?? [])].map((fault) =>
        typeof fault === 'string' ? fault : `${fault.worker}${fault.instance === undefined ? '' : '?'}`,
      );
      const flags = [offered.published, isPutOff, accused?.isPending === true].map(Number).join('');
      const by = [[...triedBy.keys()].join(), [...undoneBy].sort().join(), blamed.join()].join(';');
      const place = `${published[i] ?? ''}:${awaited[i] ?? ''}`;
      return `${key}#${place} ${offer.id.attempt}${lane[0] ?? ''}${flags}${postponed?.reason ?? ''} ${by}`;
    });
    const members = this.workers.list.map(({ id, leases }) => `${id}[${[...leases.keys()].sort().join()}]`);
    // Of several that have nothing to do the one with the latest result is asked first, then who joined first.
    const fitness = [...lastResults].sort(([, a], [, b]) => a - b).map(([id]) => id);
    const idle =
      faults.lag === 0 ? [] : [fitness.filter((id) => this.workers.list.some((one) => one.id === id)).join()];
    const due = this.beside.due.map(({ what }) => what);
    const parts = [this.generation, this.lives, this.mustRestore, due.join(), this.server.describe()];
    const queue = [offers.sort().join(' '), gaps.join(), horizon, current, suspectBefore, published.at(-1) ?? ''];
    return [...parts, ...queue, (faults.lag === 0 ? members.sort() : members).join(' '), ...idle].join('|');
  }
}
