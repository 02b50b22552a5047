import { status, type ServerDuplexStream, type ServiceError } from '@grpc/grpc-js';
import type {
  GradientHeader,
  ParameterServiceServer,
  PushEvaluationRequest,
  SessionRequest,
  SessionResponse,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import { identityIn } from '@showtell/shared/rpc/call-identity.js';
import type { OnRefused, RefusalReason } from '@showtell/shared/security/refusal.js';
import { identityOf, type CertifiedIdentity } from '@showtell/shared/security/role.js';

type Session = ServerDuplexStream<SessionRequest, SessionResponse>;
type Exchange = Pick<ParameterServiceServer, 'pullVersion' | 'pushGradient'>;
export type Caller = Pick<Session, 'getAuthContext' | 'getPeer' | 'metadata'>;
/** With the code always there, by which it is told from an admitted worker. */
export type Refused = Partial<ServiceError> & { readonly code: status };

/** A session that is open, and the secret that its worker's calls show. */
export interface OpenSession {
  readonly worker: string;
  readonly token: string;
}

/** Calls of a worker that are under way, those of sessions that have ended among them. */
interface Calls {
  /** Open ones of this name. */
  sessions: number;
  /** Of all kinds, those whose message is on its way among them. */
  open: number;
  pulls: number;
  pushes: number;
}

type CallKind = 'open' | 'pulls' | 'pushes';

/** A worker in session. */
export interface Admitted {
  readonly worker: string;
  readonly calls: Calls;
}

export interface CallGuardOptions {
  readonly run: string;
  /** Of the run's job. */
  readonly jobSha256: string;
  /** Whether callers show certificates. */
  readonly secured: boolean;
  readonly onRefused: OnRefused;
  /** Pulls, and pushes, of one worker at a time: each holds memory of a whole gradient or version. */
  readonly calls?: number;
  /** How long a call may be ahead of the word of its session, where that comes from another process. */
  readonly patienceMs?: number;
}

/** Pulls, and pushes, of a worker at a time. */
const usualCalls = 4;
/** Open calls of all kinds, for each of those: evaluations and canaries come beside them. */
const openPerCall = 4;
/** So many calls at a time may be ahead of the word of their session. */
const mostEarly = 256;
/** Characters of what a worker says of itself. */
export const longestText = 1_024;

/**
 * Who may read versions and leave gradients: workers in session, which each of their calls shows by its token, for this run, in
 * their own name and with few calls at a time. A call comes by {@link opened} first. What is refused changes nothing.
 */
export class CallGuard {
  readonly #admitted = new Map<string, Admitted>();
  /** Of each worker's name that is in session, or has calls. */
  readonly #calls = new Map<string, Calls>();
  readonly #early = new Set<() => void>();

  constructor(private readonly options: CallGuardOptions) {}

  get sessions(): OpenSession[] {
    return Array.from(this.#admitted, ([token, { worker }]) => ({ worker, token }));
  }

  admit({ worker, token }: OpenSession): void {
    if (this.#admitted.has(token)) return;
    const calls = this.#calls.get(worker) ?? { sessions: 0, open: 0, pulls: 0, pushes: 0 };
    calls.sessions++;
    this.#calls.set(worker, calls);
    this.#admitted.set(token, { worker, calls });
  }

  dismiss(token: string): void {
    const gone = this.#admitted.get(token);
    if (gone === undefined) return;
    this.#admitted.delete(token);
    gone.calls.sessions--;
    this.#forgetCalls(gone);
  }

  #forgetCalls({ worker, calls }: Admitted): void {
    if (calls.sessions + calls.open + calls.pulls + calls.pushes === 0) this.#calls.delete(worker);
  }

  /** Whoever is not among these is in session no more. */
  replace(open: readonly OpenSession[]): void {
    const tokens = new Set(open.map(({ token }) => token));
    for (const token of [...this.#admitted.keys()]) if (!tokens.has(token)) this.dismiss(token);
    for (const session of open) this.admit(session);
    for (const look of [...this.#early]) look();
  }

  /** Handlers that are reached by what is in order only. */
  guard(handlers: Exchange): Exchange {
    return {
      pullVersion: (call) =>
        this.#whenKnown(call, () => {
          const caller = this.callerOf(call, 'pulls');
          if ('code' in caller) return void call.emit('error', caller);
          const release = this.#begun(caller, 'pulls');
          for (const event of ['finish', 'close', 'cancelled', 'error']) call.once(event, release);
          handlers.pullVersion(call);
        }),
      pushGradient: (call, respond) =>
        this.#whenKnown(call, () => {
          const caller = this.callerOf(call, 'pushes');
          if ('code' in caller) {
            respond(caller);
            return;
          }
          const release = this.#begun(caller, 'pushes');
          handlers.pushGradient(call, (...answer) => {
            release();
            respond(...answer);
          });
        }),
    };
  }

  /**
   * What comes before a call's first message: it is a worker's, of this run and its job, and a worker in session has few open at
   * a time, whatever they are.
   * @returns to be called when the call is over, once or more
   */
  opened(call: Caller): Refused | (() => void) {
    if (this.identityOf(call) === 'refused')
      return this.refuse(call, status.PERMISSION_DENIED, 'role', this.roleText(call));
    const { run, jobSha256, patienceMs = 0 } = this.options;
    const said = identityIn(call.metadata);
    if (said.run !== run) return this.#refuseOther(call, 'run', said.run);
    if (said.jobSha256 !== jobSha256) return this.#refuseOther(call, 'job', said.jobSha256);
    const isEarly = said.token !== null && !this.#admitted.has(said.token);
    if (isEarly && patienceMs > 0) return () => undefined;
    const caller = this.#inSession(call);
    if ('code' in caller) return caller;
    const most = openPerCall * (this.options.calls ?? usualCalls);
    if (caller.calls.open < most) return this.#begun(caller, 'open');
    const detail = `${caller.worker} has ${most} calls open`;
    return this.refuse(call, status.RESOURCE_EXHAUSTED, 'too-many-calls', detail);
  }

  #refuseOther(call: Caller, what: 'run' | 'job', said: string | null): Refused {
    const detail = said === null ? `it names no ${what}` : `it is of ${what} ${said.slice(0, longestText)}`;
    return this.refuse(call, status.PERMISSION_DENIED, `other-${what}`, detail);
  }

  /** The worker whose token the call shows. */
  #inSession(call: Caller): Admitted | Refused {
    const caller = this.#admitted.get(identityIn(call.metadata).token ?? '');
    return caller ?? this.refuse(call, status.UNAUTHENTICATED, 'no-session', 'it belongs to no session that is open');
  }

  /** @returns to be called when the call is over, once or more */
  #begun(caller: Admitted, kind: CallKind): () => void {
    caller.calls[kind]++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      caller.calls[kind]--;
      this.#forgetCalls(caller);
    };
  }

  /** What is wrong with a gradient's header, whose call {@link guard} let through; null: nothing. */
  readonly headerFault = (call: Caller, header: GradientHeader): Partial<ServiceError> | null => {
    const caller = this.#inSession(call);
    return 'code' in caller ? caller : this.contentFault(call, header, caller);
  };

  /** Whose call it is that is about to be answered; its session may have ended, or become known, since it was {@link opened}. */
  callerOf(call: Caller, counted: 'pulls' | 'pushes' | null): Admitted | Refused {
    const caller = this.#inSession(call);
    const { calls = usualCalls } = this.options;
    if ('code' in caller || counted === null || caller.calls[counted] < calls) return caller;
    const detail = `${caller.worker} has ${calls} ${counted} under way`;
    return this.refuse(call, status.RESOURCE_EXHAUSTED, 'too-many-calls', detail);
  }

  contentFault(
    call: Caller,
    { worker, unit }: Pick<GradientHeader | PushEvaluationRequest, 'worker' | 'unit'>,
    caller: Admitted,
  ): Partial<ServiceError> | null {
    if (worker !== caller.worker) return this.otherWorker(call, worker, caller);
    if (unit === undefined || unit.run === this.options.run) return null;
    return this.refuse(call, status.PERMISSION_DENIED, 'other-run', `it is of run ${unit.run}`);
  }

  otherWorker(call: Caller, worker: string, caller: Admitted): Partial<ServiceError> {
    const detail = `worker ${caller.worker} speaks in the name of ${worker.slice(0, longestText)}`;
    return this.refuse(call, status.PERMISSION_DENIED, 'other-worker', detail);
  }

  /** Null: nothing is asked for. */
  identityOf(call: Caller): CertifiedIdentity | null | 'refused' {
    if (!this.options.secured) return null;
    const certificate = call.getAuthContext().sslPeerCertificate;
    const identity = certificate === undefined ? null : identityOf({ subjectAltName: certificate.subjectaltname });
    return identity?.role === 'worker' ? identity : 'refused';
  }

  roleText(call: Caller): string {
    const names = call.getAuthContext().sslPeerCertificate?.subjectaltname ?? 'nobody';
    return `the certificate is for ${names}, not for a worker`;
  }

  refuse(call: Caller, code: status, reason: RefusalReason, detail: string): Refused {
    this.options.onRefused({ reason, detail, peer: call.getPeer() });
    return { code, details: detail };
  }

  /** Lets a call go on at once, or when its session has become known, or after all that while. */
  #whenKnown(call: Caller & { readonly cancelled: boolean }, goOn: () => void): void {
    const { token } = identityIn(call.metadata);
    const { patienceMs = 0 } = this.options;
    const mayWait = token !== null && patienceMs > 0 && this.#early.size < mostEarly;
    if (!mayWait || this.#admitted.has(token)) {
      goOn();
      return;
    }
    const look = (isLate = false): void => {
      if (!isLate && !this.#admitted.has(token)) return;
      this.#early.delete(look);
      clearTimeout(late);
      if (!call.cancelled) goOn();
    };
    const late = setTimeout(() => look(true), patienceMs);
    this.#early.add(look);
  }
}
