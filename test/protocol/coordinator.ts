import { Beside } from '@showtell/coordinator/beside.js';
import { Dispatcher } from '@showtell/coordinator/dispatcher.js';
import { openSteps } from '@showtell/coordinator/open-steps.js';
import { judge as realJudge } from '@showtell/coordinator/parameter-server/verdict.js';
import { StepTraces } from '@showtell/coordinator/step-traces.js';
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

/** What the dispatcher keeps of an offer. */
interface Offered {
  readonly offer: { readonly id: UnitId };
  readonly lane: string;
  readonly faults: { readonly failures: number };
  readonly postponed: unknown;
  readonly triedBy: ReadonlyMap<string, number>;
  readonly order: number;
}

/** A clock that the explorer turns. */
class Later extends Beside {
  readonly due: (() => Promise<void>)[] = [];

  override startIn(_ms: number, work: () => Promise<void>): void {
    this.due.push(work);
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
      soon: (work) => this.beside.startIn(500, work),
      onPoison: (error) => {
        throw error;
      },
    });
    const series = { workers: nothing, workersRefused: nothing, unitsRedelivered: nothing };
    this.workers = new Workers(
      { version: '1', jobSha256: '', datasetDigest: '' },
      { run: 'run', generation, natsUrl: '', unitStream: '', sharedMemory: '', sharedMemoryNonce: '', shards: [] },
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

  describe(): string {
    const inside = this.dispatcher as unknown as Record<string, unknown>;
    const { outstanding, horizon, current, suspectBefore } = inside;
    // Which was published before which, and before what is settled.
    const orders = [...(outstanding as Map<string, Offered>).values()].map(({ order }) => order);
    const rank = (order: number): number =>
      [...orders, inside['latestSettled'] as number].filter((o) => o < order).length;
    const isOrdered = this.world.bounds.maxStaleness !== null;
    const offers = [...(outstanding as Map<string, Offered>)].map(
      ([key, { offer, lane, faults, postponed, triedBy, order }]) =>
        `${key}${isOrdered ? `#${rank(order)} ` : ''}${offer.id.attempt}${lane[0] ?? ''}${faults.failures}${postponed === null ? '' : 'p'}${[...triedBy.keys()].join()}`,
    );
    const members = this.workers.list.map(({ id, leases }) => `${id}[${[...leases.keys()].sort().join()}]`).sort();
    const parts = [this.generation, this.lives, this.mustRestore, this.beside.due.length, this.server.describe()];
    return [...parts, offers.sort().join(' '), horizon, current, suspectBefore, members.join(' ')].join('|');
  }
}
