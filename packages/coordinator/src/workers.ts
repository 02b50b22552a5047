import { status, type ServerDuplexStream } from '@grpc/grpc-js';
import {
  Command_Kind,
  type Hello,
  type LeaseReturned,
  type Refusal,
  type SessionRequest,
  type SessionResponse,
  type UnitOffer,
  type UnitFailure,
  type Version,
  type Welcome,
  type WorkerReport,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { longestText } from './security/call-guard.js';
import { unguarded, type SessionGate, type Visit } from './security/visit.js';
import { sharesBetween, type WorkerShares } from './worker-shares.js';

type Session = ServerDuplexStream<SessionRequest, SessionResponse>;

/** An offer that a worker holds. */
export interface HeldOffer {
  readonly unit: UnitId;
  /** When it said so, by `performance.now()`. */
  readonly since: number;
}

/** One worker, from Hello to the end of its session. */
export interface Worker {
  readonly id: string;
  readonly pid: number;
  /** Of its process alone, whatever its id. */
  readonly instance: string;
  readonly host: string;
  readonly engine: string;
  readonly joinedAt: number;
  /** Offers it holds, by {@link offerKey}. */
  readonly leases: ReadonlyMap<string, HeldOffer>;
  readonly report: WorkerReport | null;
  /** When its last message came, by `performance.now()`. */
  readonly heardAt: number;
  /** Between its last two reports. */
  readonly shares: WorkerShares | null;
}

interface Member extends Worker {
  readonly leases: Map<string, HeldOffer>;
  report: WorkerReport | null;
  shares: WorkerShares | null;
  heardAt: number;
  readonly session: Session;
  readonly visit: Visit;
  /** It was told to leave, so its session's end is no death. */
  dismissed: boolean;
}

export interface WorkersEvents {
  joined(worker: Worker): void;
  /** @param reason "version", "run", "job" or "data" */
  refused(worker: string, reason: string, text: string): void;
  /** @param died false when it left as it was told to, or after giving back all it held. */
  left(worker: Worker, died: boolean): void;
  leaseReturned(worker: Worker, returned: LeaseReturned & { unit: UnitId }): void;
  unitFailed(worker: Worker, failure: UnitFailure & { unit: UnitId }): void;
}

/** What a worker must agree with to take part: its numbers would differ otherwise. */
export interface Membership {
  readonly version: string;
  readonly jobSha256: string;
  readonly datasetDigest: string;
}

/** What a worker of another run or job is told; null: it is of this one, or asks for none. */
export function refusalOfOther(
  { worker, ...hello }: Pick<Hello, 'worker' | 'run' | 'jobSha256'>,
  { run, jobSha256 }: Pick<Hello, 'run' | 'jobSha256'>,
): Refusal | null {
  if (hello.run !== '' && hello.run !== run)
    return {
      code: 'worker/other-run',
      text: `worker ${worker} is for run ${hello.run}, here is run ${run}; start it anew, with this run's folder or its own coordinator's address`,
    };
  if (hello.jobSha256 !== jobSha256)
    return {
      code: 'worker/other-job',
      text: `worker ${worker} has another job than this run; start it with this run's folder or job file`,
    };
  return null;
}

/** Names a unit within a generation, whatever its attempt. */
export function offerKey(id: Pick<UnitId, 'lineage' | 'step' | 'index' | 'evaluation'>): string {
  return `${id.lineage}/${id.step}/${id.evaluation ? 'e' : 'u'}${id.index}`;
}

/** So many messages may wait for a worker that does not read them: one that was stopped a while has hundreds. */
const mostUnread = 4_096;

/** Far more than a worker has room for; the rest of what one says it took is not kept. */
const mostLeases = 1_000;

/** Who is there and what they hold, by the sessions that are open. A broken session is a dead worker, at once. */
export class Workers {
  private readonly members = new Map<string, Member>();
  private version: Version | null = null;
  private paused = false;

  constructor(
    private readonly membership: Membership,
    private readonly welcome: Welcome,
    private readonly events: WorkersEvents,
    private readonly gate: SessionGate = unguarded,
  ) {}

  get list(): readonly Worker[] {
    return [...this.members.values()];
  }

  /** The workers that hold an offer of this unit. */
  holders(key: string): Worker[] {
    return this.list.filter((worker) => worker.leases.has(key));
  }

  /** What a worker holds of this unit; null when that is nothing. */
  leaseOf(worker: string, key: string): HeldOffer | null {
    return this.members.get(worker)?.leases.get(key) ?? null;
  }

  /** Asks one worker for a unit that another holds. */
  offer(worker: string, offer: UnitOffer): void {
    const member = this.members.get(worker);
    if (member !== undefined) this.send(member, { message: { $case: 'offer', value: offer } });
  }

  /** Tells everyone, and whoever joins later, which parameters are current. */
  announce(version: Version): void {
    this.version = version;
    this.broadcast({ message: { $case: 'version', value: version } });
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.command(paused ? Command_Kind.KIND_PAUSE : Command_Kind.KIND_RESUME, '');
  }

  /** Ends every session: the run is complete or has stopped. */
  dismiss(kind: Command_Kind.KIND_COMPLETE | Command_Kind.KIND_STOP | Command_Kind.KIND_DRAIN, reason: string): void {
    for (const member of this.members.values()) member.dismissed = true;
    this.command(kind, reason);
  }

  /** Closes what is still open, as at shutdown. */
  close(): void {
    for (const member of this.members.values()) member.session.end();
  }

  /** The gRPC handler of `ParameterService.Session`. */
  readonly serve = (session: Session): void => {
    let member: Member | null = null;
    const visit = this.gate.enter(session);
    if (visit === null) return;
    session.on('data', ({ message }: SessionRequest) => {
      if (message === undefined || !visit.admits(message)) return;
      if (member !== null) member.heardAt = performance.now();
      if (message.$case === 'hello') member ??= this.admit(session, message.value, visit);
      else if (member !== null) this.receive(member, message);
    });
    const over = (): void => {
      if (member !== null) this.remove(member);
      member = null;
    };
    session.on('end', () => {
      session.end();
      over();
    });
    session.on('cancelled', over);
    session.on('error', over);
    session.on('close', over);
  };

  private admit(session: Session, hello: Hello, visit: Visit): Member | null {
    const refusal = this.refusal(hello);
    if (refusal !== null) {
      this.events.refused(hello.worker, refusal.code.replace('worker/other-', ''), refusal.text);
      session.write({ message: { $case: 'refusal', value: refusal } });
      session.end();
      return null;
    }
    // The same worker again: its old session is dead though the network has not said so yet.
    const before = this.members.get(hello.worker);
    if (before !== undefined) {
      this.remove(before);
      before.session.end();
    }
    const { worker: id, pid, instance, host, engine } = hello;
    const joined = { id, pid, instance, host, engine, joinedAt: Date.now(), leases: new Map<string, HeldOffer>() };
    const member: Member = {
      ...joined,
      report: null,
      shares: null,
      heardAt: performance.now(),
      session,
      visit,
      dismissed: false,
    };
    this.members.set(id, member);
    visit.join(id);
    session.write({ message: { $case: 'welcome', value: this.welcome } });
    if (this.version !== null) session.write({ message: { $case: 'version', value: this.version } });
    if (this.paused)
      session.write({ message: { $case: 'command', value: { kind: Command_Kind.KIND_PAUSE, reason: '' } } });
    this.events.joined(member);
    return member;
  }

  private refusal(hello: Hello): Refusal | null {
    const own = this.membership;
    if (hello.version !== own.version)
      return {
        code: 'worker/other-version',
        text: `worker ${hello.worker} is showtell ${hello.version}, this run is trained by ${own.version}; install the same on both`,
      };
    const other = refusalOfOther(hello, { run: this.welcome.run, jobSha256: own.jobSha256 });
    if (other !== null) return other;
    if (hello.datasetDigest !== own.datasetDigest)
      return {
        code: 'worker/other-data',
        text: `worker ${hello.worker} reads other data than this run; point it at the same data folder`,
      };
    return null;
  }

  private receive(member: Member, message: NonNullable<SessionRequest['message']>): void {
    switch (message.$case) {
      case 'hello':
        return;
      case 'leaseTaken': {
        const { unit } = message.value;
        if (unit === undefined || member.leases.size >= mostLeases) return;
        member.leases.set(offerKey(unit), { unit, since: performance.now() });
        return;
      }
      case 'leaseReturned': {
        const { unit } = message.value;
        if (unit === undefined) return;
        member.leases.delete(offerKey(unit));
        this.events.leaseReturned(member, {
          ...message.value,
          unit,
          reason: message.value.reason.slice(0, longestText),
        });
        return;
      }
      case 'unitFailure': {
        const { unit } = message.value;
        if (unit === undefined) return;
        // Of what it does not hold it can say nothing.
        if (!member.leases.delete(offerKey(unit))) return;
        const { code, text } = message.value;
        this.events.unitFailed(member, { unit, code: code.slice(0, longestText), text: text.slice(0, longestText) });
        return;
      }
      case 'report':
        member.shares = sharesBetween(member.report, message.value) ?? member.shares;
        member.report = message.value;
        return;
      default:
        message satisfies never;
    }
  }

  /**
   * Takes what they hold from workers that have been silent for `ms`: suspended, or on a host that is. They stay members,
   * since their session stands; what they compute afterwards is judged as any other result.
   */
  expire(ms: number): { readonly worker: Worker; readonly unit: UnitId }[] {
    const silent = [...this.members.values()].filter(({ heardAt }) => performance.now() - heardAt > ms);
    return silent.flatMap((worker) => {
      const units = [...worker.leases.values()].map(({ unit }) => unit);
      worker.leases.clear();
      return units.map((unit) => ({ worker, unit }));
    });
  }

  /** A unit is settled: nobody holds it any more. */
  settled(key: string): void {
    for (const member of this.members.values()) member.leases.delete(key);
  }

  /** One worker is done with a unit, though its result did not count. @returns whether it had it */
  release(worker: string, key: string): boolean {
    return this.members.get(worker)?.leases.delete(key) ?? false;
  }

  private remove(member: Member): void {
    if (this.members.get(member.id) !== member) return;
    this.members.delete(member.id);
    member.visit.leave();
    this.events.left(member, !member.dismissed && member.leases.size > 0);
  }

  private command(kind: Command_Kind, reason: string): void {
    this.broadcast({ message: { $case: 'command', value: { kind, reason } } });
  }

  private broadcast(response: SessionResponse): void {
    for (const member of [...this.members.values()]) this.send(member, response);
  }

  /** Ends the session of a worker that reads nothing: what waits for it would grow without end. */
  private send(member: Member, response: SessionResponse): void {
    const { session } = member;
    if (session.writableLength < mostUnread) {
      session.write(response);
      return;
    }
    const details = `${mostUnread} messages wait to be read`;
    // Not destroy(): grpc-js sends no status for a stream that is destroyed.
    session.emit('error', Object.assign(new Error(details), { code: status.RESOURCE_EXHAUSTED, details }));
  }
}
