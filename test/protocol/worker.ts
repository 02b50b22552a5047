import type { Lane, Lease } from '@showtell/shared/bus/unit-queue.js';
import {
  Phase,
  type GradientHeader,
  type Version,
  type VersionId,
  WireType,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { openWindow } from '@showtell/shared/job/asynchronous.js';
import { noSpan } from '@showtell/shared/service/tracing.js';
import { secondLease } from '@showtell/worker/second-lease.js';
import { HeldUnits, type HeldUnit } from '@showtell/worker/held-units.js';
import { excess, isDue, isStale } from '@showtell/worker/what-to-hold.js';
import type { Broker } from './broker.js';
import type { Coordinator, Product } from './coordinator.js';
import type { Gradient, Value } from './server.js';
import { Session } from './session.js';

export type Verdict = 'accepted' | 'duplicate' | 'stale';

/** A gradient on its way, and its answer on its way back. */
interface Push {
  readonly gradient: Gradient;
  readonly unit: HeldUnit;
  to: Coordinator;
  answer: Verdict | null;
}

/** Units that a worker makes ready beside the one it computes. */
const room = 1;
/** A worker that has said this much that the coordinator has not heard yet says no more: else there is no end to states. */
const mostUnheard = 3;

/** One membership of a worker: leases, version, gradients under way. Holding and choosing are the product's. */
export class Worker implements Disposable {
  readonly session: Session;
  readonly pushes: Push[] = [];
  private readonly held: HeldUnits;
  private announced: Version | null = null;
  private readonly window: number | null;
  private version: { readonly id: VersionId; readonly value: Value } | null = null;

  constructor(
    readonly id: string,
    readonly coordinator: Coordinator,
    private readonly broker: Broker,
    private readonly parts: Product,
    maxStaleness: number | null,
  ) {
    this.window = maxStaleness === null ? null : openWindow({ maxStaleness, warmStartSteps: 0 });
    this.session = new Session(coordinator.generation, coordinator.workers);
    // No lease is extended by the clock here: it ends when the explorer says so.
    this.held = new HeldUnits(1e6, {
      taken: (unit) => this.session.send({ $case: 'leaseTaken', value: { unit } }),
      returned: (unit, reason, dropped) =>
        this.session.send({ $case: 'leaseReturned', value: { unit, reason, dropped } }),
    });
    const hello = {
      worker: id,
      pid: 0,
      host: '',
      version: '1',
      jobSha256: '',
      datasetDigest: '',
      engine: '',
      instance: id,
      run: '',
    };
    this.session.send({ $case: 'hello', value: hello });
    this.session.deliver();
  }

  /** Hears what the coordinator said so far. @returns false when it was the end */
  hear(): boolean {
    for (const message of this.session.toWorker.splice(0)) {
      if (message === 'end') return false;
      // Welcome was read on joining; commands end a membership, whose session ends right after.
      if (message.$case === 'version') this.take(message.value);
      if (message.$case === 'offer') this.takeToo(secondLease(message.value));
    }
    return true;
  }

  private take(version: Version): void {
    this.announced = version;
    this.dropStale(version);
  }

  private dropStale(current: Version): void {
    for (const unit of this.held.waiting)
      if (isStale(unit.lease.unit.id, current, this.window)) this.held.drop(unit, 'stale');
  }

  private takeToo(lease: Lease | null): void {
    if (lease === null || this.held.has(lease.unit.id)) return;
    this.hold(lease);
  }

  canPull(lane: Lane): boolean {
    if (this.session.toCoordinator.length >= mostUnheard) return false;
    const hungry = lane === 'now' || this.held.waiting.length < room;
    return hungry && this.held.waiting.length <= room && this.broker.has(lane, this.session.generation);
  }

  pull(lane: Lane): void {
    const lease = this.broker.pull(lane, this.session.generation, this.id);
    if (lease === null || !this.hold(lease)) return;
    const farthest = excess(this.held.waiting, room, this.announced?.id?.step ?? 0, this.window);
    if (farthest !== null) this.held.giveBack(farthest, 'a more urgent unit came');
  }

  /** @returns whether it is not stale: what the loop does with a stale unit as soon as it sees it */
  private hold(lease: Lease): boolean {
    this.held.add(lease, new Promise(() => undefined), noSpan);
    const { announced } = this;
    if (announced === null || !isStale(lease.unit.id, announced, this.window)) return true;
    this.dropStale(announced);
    return false;
  }

  /** Whether it may read the announced version. */
  get lacksVersion(): boolean {
    const wanted = this.announced?.id;
    return wanted !== undefined && JSON.stringify(this.version?.id) !== JSON.stringify(wanted);
  }

  /** Reads the announced version; one that is no more current is gone. */
  readVersion(): void {
    const wanted = this.announced?.id;
    const { server, lives } = this.coordinator;
    if (wanted === undefined || !lives || JSON.stringify(server.version) !== JSON.stringify(wanted)) return;
    this.version = { id: wanted, value: server.value };
  }

  /** Whether {@link readVersion} would have it. */
  get versionIsThere(): boolean {
    return (
      this.lacksVersion &&
      this.coordinator.lives &&
      JSON.stringify(this.coordinator.server.version) === JSON.stringify(this.announced?.id)
    );
  }

  private get due(): HeldUnit | undefined {
    const { announced, version, window } = this;
    if (announced === null || version === null) return undefined;
    // However old what it holds: the product's workers ask for the newest before they compute.
    const given = window === null ? announced : { ...announced, id: version.id };
    if (window === null && this.lacksVersion) return undefined;
    return this.held.waiting.find(({ lease }) => isDue(lease.unit, given, window));
  }

  get canCompute(): boolean {
    return this.due !== undefined;
  }

  /** Computes the most urgent unit and sends its gradient. */
  compute(): void {
    const unit = this.due;
    if (unit === undefined || this.version === null) return;
    this.held.begin(unit);
    const { id, value } = this.version;
    const header: GradientHeader = {
      ...{ unit: unit.lease.unit.id, version: id, worker: this.id, phase: Phase.PHASE_DECODER_ONLY },
      ...{
        examples: 0,
        tokens: 0,
        lossSum: 0,
        skipped: [0],
        segments: [],
        embeddingRows: [],
        slot: '',
        atShards: false,
      },
      ...{ wireType: WireType.WIRE_TYPE_FLOAT32, computeSeconds: 0, dataSeconds: 0 },
    };
    this.pushes.push({ gradient: { header, computedOn: value }, unit, to: this.coordinator, answer: null });
    if (!this.parts.settlesByVerdict) unit.lease.acknowledge();
  }

  /** Cannot compute the most urgent unit. */
  fail(): void {
    const unit = this.due;
    if (unit === undefined) return;
    this.held.begin(unit);
    this.session.send({ $case: 'unitFailure', value: { unit: unit.lease.unit.id, code: '', text: '' } });
    this.held.settle(unit);
  }

  /** The answer to a gradient has come; null when none will. */
  settle(push: Push, verdict: Verdict | null): void {
    this.pushes.splice(this.pushes.indexOf(push), 1);
    if (!this.parts.settlesByVerdict) return;
    if (verdict === null) this.held.giveBack(push.unit, 'its gradient could not be sent');
    else this.held.settle(push.unit);
  }

  /** The coordinator is gone: everything is given back, and another may be joined. */
  leave(): void {
    for (const push of [...this.pushes]) this.settle(push, null);
    for (const unit of this.held.waiting) this.held.giveBack(unit, 'the worker leaves');
    this.session.endAtCoordinator();
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.held[Symbol.dispose]();
  }

  describe(): string {
    const unit = ({ lease }: HeldUnit): string => {
      const { lineage, step, index, attempt } = lease.unit.id;
      return `${lineage}.${step}.${index}.${attempt}`;
    };
    const version = (id: VersionId | undefined): string => (id === undefined ? '' : `${id.lineage}.${id.step}`);
    const pushes = this.pushes.map(
      (push) => `${unit(push.unit)}${push.gradient.computedOn}${push.to.generation}${push.answer ?? ''}`,
    );
    const at = [this.id, this.session.describe(), version(this.announced?.id), version(this.version?.id)];
    return [...at, this.held.waiting.map(unit).join(' '), pushes.sort().join(' ')].join('|');
  }
}
