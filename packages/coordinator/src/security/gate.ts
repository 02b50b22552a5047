import { randomBytes } from 'node:crypto';
import { Metadata, status, type ServerDuplexStream, type ServerInterceptor, type ServiceError } from '@grpc/grpc-js';
import type {
  CheckCanaryRequest,
  Hello,
  ParameterServiceServer,
  SessionRequest,
  SessionResponse,
} from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { sessionHeader } from '@showtell/shared/rpc/call-identity.js';
import type { OnRefused, RefusalReason } from '@showtell/shared/security/refusal.js';
import type { CertifiedIdentity } from '@showtell/shared/security/role.js';
import { type Admitted, type Caller, CallGuard, longestText, type OpenSession } from './call-guard.js';
import { early } from './early-guard.js';
import type { SessionGate, Visit } from './visit.js';

type Session = ServerDuplexStream<SessionRequest, SessionResponse>;
type Calls = Pick<ParameterServiceServer, 'pullVersion' | 'pushGradient' | 'pushEvaluation' | 'checkCanary'>;

export interface GateOptions {
  readonly run: string;
  /** Of the run's job. */
  readonly jobSha256: string;
  readonly generation: number;
  /** Whether callers show certificates. */
  readonly secured: boolean;
  readonly onRefused: OnRefused;
  /** Told who is in session, whenever that changes. */
  readonly onSessions?: (open: readonly OpenSession[]) => void;
  readonly limits?: Partial<GateLimits>;
}

export interface GateLimits {
  /** Sessions at a time, those without a greeting yet among them. */
  readonly sessions: number;
  /** Pulls, and pushes, of one worker at a time: each holds memory of a whole gradient or version. */
  readonly calls: number;
  /** What one session may say in a second. */
  readonly messagesPerSecond: number;
  /** How long a session may be open without a greeting. */
  readonly helloMs: number;
  /** Graphs that one worker may tell of. */
  readonly canaries: number;
}

const usualLimits: GateLimits = { sessions: 1_024, calls: 4, messagesPerSecond: 2_000, helloMs: 10_000, canaries: 64 };

/**
 * Whom the coordinator deals with, on every message: the certificate must be a worker's, what is not a session must name this
 * run and its job and show the token of a session, and what it says must be in that worker's own name and of this run. What is refused changes nothing.
 */
export class Gate implements SessionGate {
  readonly #limits: GateLimits;
  readonly #calls: CallGuard;
  /** By worker. */
  readonly #graphs = new Map<string, Set<string>>();
  #sessions = 0;

  constructor(private readonly options: GateOptions) {
    this.#limits = { ...usualLimits, ...options.limits };
    const { run, jobSha256, secured, onRefused } = options;
    this.#calls = new CallGuard({ run, jobSha256, secured, onRefused, calls: this.#limits.calls });
  }

  enter(session: Session): Visit | null {
    const { sessions, helloMs, messagesPerSecond } = this.#limits;
    const identity = this.#calls.identityOf(session);
    if (identity === 'refused') {
      this.#end(session, status.PERMISSION_DENIED, 'role', this.#calls.roleText(session));
      return null;
    }
    if (this.#sessions >= sessions) {
      this.#end(session, status.RESOURCE_EXHAUSTED, 'too-many-sessions', `there are ${sessions} already`);
      return null;
    }
    this.#sessions++;
    let token: string | null = null;
    let name = '';
    let isOver = false;
    const leave = (): void => {
      if (token !== null) {
        this.#calls.dismiss(token);
        token = null;
        // What a run keeps of graphs has a bound of its own.
        if (!this.#calls.sessions.some(({ worker }) => worker === name)) this.#graphs.delete(name);
        this.#tellSessions();
      }
      if (isOver) return;
      isOver = true;
      this.#sessions--;
      clearTimeout(silent);
    };
    const fail = (code: status, reason: RefusalReason, detail: string): false => {
      leave();
      this.#end(session, code, reason, detail);
      return false;
    };
    const silent = setTimeout(() => fail(status.DEADLINE_EXCEEDED, 'silent', 'it did not say who it is'), helloMs);
    for (const event of ['end', 'close', 'cancelled', 'error']) session.once(event, leave);
    const rate = { second: 0, count: 0 };
    return {
      admits: (message) => {
        if (isOver) return false;
        const second = Math.floor(performance.now() / 1_000);
        if (rate.second !== second) Object.assign(rate, { second, count: 0 });
        if (++rate.count > messagesPerSecond)
          return fail(status.RESOURCE_EXHAUSTED, 'too-many-messages', `more than ${messagesPerSecond} in a second`);
        if (message.$case === 'hello') {
          const fault = token === null ? helloFault(message.value, identity) : null;
          return fault === null ? true : fail(status.PERMISSION_DENIED, fault.reason, fault.detail);
        }
        if (token === null) return fail(status.UNAUTHENTICATED, 'no-session', 'it did not say who it is first');
        const unit = message.$case === 'report' ? undefined : message.value.unit;
        return unit === undefined || this.#isOurs(unit, session);
      },
      join: (worker) => {
        clearTimeout(silent);
        name = worker;
        token = randomBytes(24).toString('base64url');
        this.#calls.admit({ worker, token });
        this.#tellSessions();
        const metadata = new Metadata();
        metadata.set(sessionHeader, token);
        session.sendMetadata(metadata);
      },
      leave,
    };
  }

  /** Handlers that are reached by what is in order only. */
  guard(handlers: Calls): Calls {
    return {
      ...this.#calls.guard(handlers),
      pushEvaluation: (call, respond) => {
        const caller = this.#calls.callerOf(call, null);
        const fault = 'code' in caller ? caller : this.#calls.contentFault(call, call.request, caller);
        if (fault !== null) respond(fault);
        else handlers.pushEvaluation(call, respond);
      },
      checkCanary: (call, respond) => {
        const caller = this.#calls.callerOf(call, null);
        const fault = 'code' in caller ? caller : this.#canaryFault(call, call.request, caller);
        if (fault !== null) respond(fault);
        else handlers.checkCanary(call, respond);
      },
    };
  }

  /** Turns calls away before their first message. @param messageMs how long that may take to come */
  early(messageMs?: number): ServerInterceptor {
    return early(() => this.#calls, messageMs);
  }

  get headerFault(): CallGuard['headerFault'] {
    return this.#calls.headerFault;
  }

  #tellSessions(): void {
    this.options.onSessions?.(this.#calls.sessions);
  }

  #canaryFault(
    call: Caller,
    { worker, graph, sha256 }: CheckCanaryRequest,
    caller: Admitted,
  ): Partial<ServiceError> | null {
    if (worker !== caller.worker) return this.#calls.otherWorker(call, worker, caller);
    if (!/^[0-9a-f]{64}$/.test(sha256) || graph.length > longestText)
      return this.#calls.refuse(call, status.INVALID_ARGUMENT, 'malformed', 'it is no hash of a graph');
    const { canaries } = this.#limits;
    const graphs = this.#graphs.get(worker) ?? new Set();
    if (!graphs.has(graph) && graphs.size >= canaries)
      return this.#calls.refuse(call, status.RESOURCE_EXHAUSTED, 'too-many-calls', `a run has no ${canaries} graphs`);
    this.#graphs.set(worker, graphs.add(graph));
    return null;
  }

  #isOurs({ run, generation }: UnitId, session: Session): boolean {
    if (run === this.options.run && generation === this.options.generation) return true;
    this.#calls.refuse(
      session,
      status.PERMISSION_DENIED,
      'other-run',
      `a unit of run ${run}, generation ${generation}`,
    );
    return false;
  }

  #end(session: Session, code: status, reason: RefusalReason, detail: string): void {
    const fault = this.#calls.refuse(session, code, reason, detail);
    // Not destroy(): grpc-js sends no status for a stream that is destroyed.
    session.emit('error', Object.assign(new Error(detail), fault));
  }
}

function helloFault(
  hello: Hello,
  identity: CertifiedIdentity | null,
): { reason: RefusalReason; detail: string } | null {
  const { worker, host, version, jobSha256, datasetDigest, engine, instance, run } = hello;
  if (
    worker === '' ||
    [worker, host, version, jobSha256, datasetDigest, engine, instance, run].some(({ length }) => length > longestText)
  )
    return { reason: 'malformed', detail: 'its greeting names no worker, or is too long' };
  if (identity?.name != null && identity.name !== worker)
    return { reason: 'other-worker', detail: `the certificate is for worker ${identity.name}, not for ${worker}` };
  return null;
}
