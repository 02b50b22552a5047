import type { ServerDuplexStream } from '@grpc/grpc-js';
import {
  Command_Kind,
  type Hello,
  type LeaseReturned,
  type SessionRequest,
  type SessionResponse,
  type UnitFailure,
  type Version,
  type Welcome,
  type WorkerReport,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';

type Session = ServerDuplexStream<SessionRequest, SessionResponse>;

/** One worker, from Hello to the end of its session. */
export interface Worker {
  readonly id: string;
  readonly pid: number;
  readonly host: string;
  readonly engine: string;
  readonly joinedAt: number;
  /** Offers it holds, by {@link offerKey}. */
  readonly leases: ReadonlyMap<string, UnitId>;
  readonly report: WorkerReport | null;
}

interface Member extends Worker {
  readonly leases: Map<string, UnitId>;
  report: WorkerReport | null;
  /** When its last message came, by `performance.now()`. */
  heardAt: number;
  readonly session: Session;
  /** It was told to leave, so its session's end is no death. */
  dismissed: boolean;
}

export interface WorkersEvents {
  joined(worker: Worker): void;
  /** @param reason "version", "job" or "data" */
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

/** Names a unit within a generation, whatever its attempt. */
export function offerKey(id: Pick<UnitId, 'lineage' | 'step' | 'index' | 'evaluation'>): string {
  return `${id.lineage}/${id.step}/${id.evaluation ? 'e' : 'u'}${id.index}`;
}

/** Who is there and what they hold, by the sessions that are open. A broken session is a dead worker, at once. */
export class Workers {
  private readonly members = new Map<string, Member>();
  private version: Version | null = null;
  private paused = false;

  constructor(
    private readonly membership: Membership,
    private readonly welcome: Welcome,
    private readonly events: WorkersEvents,
  ) {}

  get list(): readonly Worker[] {
    return [...this.members.values()];
  }

  /** The workers that hold an offer of this unit. */
  holders(key: string): Worker[] {
    return this.list.filter((worker) => worker.leases.has(key));
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
    session.on('data', ({ message }: SessionRequest) => {
      if (message === undefined) return;
      if (member !== null) member.heardAt = performance.now();
      if (message.$case === 'hello') member ??= this.admit(session, message.value);
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

  private admit(session: Session, hello: Hello): Member | null {
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
    const { worker: id, pid, host, engine } = hello;
    const joined = { id, pid, host, engine, joinedAt: Date.now(), leases: new Map<string, UnitId>() };
    const member: Member = { ...joined, report: null, heardAt: performance.now(), session, dismissed: false };
    this.members.set(id, member);
    session.write({ message: { $case: 'welcome', value: this.welcome } });
    if (this.version !== null) session.write({ message: { $case: 'version', value: this.version } });
    if (this.paused)
      session.write({ message: { $case: 'command', value: { kind: Command_Kind.KIND_PAUSE, reason: '' } } });
    this.events.joined(member);
    return member;
  }

  private refusal(hello: Hello): { code: string; text: string } | null {
    const own = this.membership;
    if (hello.version !== own.version)
      return {
        code: 'worker/other-version',
        text: `worker ${hello.worker} is showtell ${hello.version}, this run is trained by ${own.version}; install the same on both`,
      };
    if (hello.jobSha256 !== own.jobSha256)
      return {
        code: 'worker/other-job',
        text: `worker ${hello.worker} has another job than this run; start it with this run's folder or job file`,
      };
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
        if (unit === undefined) return;
        member.leases.set(offerKey(unit), unit);
        return;
      }
      case 'leaseReturned': {
        const { unit } = message.value;
        if (unit === undefined) return;
        member.leases.delete(offerKey(unit));
        this.events.leaseReturned(member, { ...message.value, unit });
        return;
      }
      case 'unitFailure': {
        const { unit } = message.value;
        if (unit === undefined) return;
        member.leases.delete(offerKey(unit));
        this.events.unitFailed(member, { ...message.value, unit });
        return;
      }
      case 'report':
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
      const units = [...worker.leases.values()];
      worker.leases.clear();
      return units.map((unit) => ({ worker, unit }));
    });
  }

  /** A unit is settled: nobody holds it any more. */
  settled(key: string): void {
    for (const member of this.members.values()) member.leases.delete(key);
  }

  private remove(member: Member): void {
    if (this.members.get(member.id) !== member) return;
    this.members.delete(member.id);
    this.events.left(member, !member.dismissed && member.leases.size > 0);
  }

  private command(kind: Command_Kind, reason: string): void {
    this.broadcast({ message: { $case: 'command', value: { kind, reason } } });
  }

  private broadcast(response: SessionResponse): void {
    for (const member of this.members.values()) member.session.write(response);
  }
}
