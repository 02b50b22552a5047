import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '@showtell/shared/service/log.js';
import { ApiFailure } from '../cluster/api-failure.js';
import type { Cluster } from '../cluster/cluster.js';
import type { KubeObject, Ref } from '../cluster/resources.js';

export interface LeaseOptions {
  readonly ref: Ref & { readonly kind: 'Lease' };
  /** Who asks; unlike any other process. */
  readonly identity: string;
  readonly log: Logger;
  /** Time without a renewal after which its holder stops, in milliseconds; 10 s by default. */
  readonly renewWithinMs?: number;
}

/** Time without a renewal after which another may take the lease. */
const leaseSeconds = 15;
/** Time without a renewal after which its holder stops by itself, well before. */
const usualRenewWithinMs = 10_000;
const retryMs = 2_000;

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

const specOf = (lease: KubeObject): LeaseSpec => lease['spec'] ?? {};

/**
 * Leader election by a Lease, as client-go does it: whoever has written it last, and goes on to, leads. How old another's
 * renewal is, is measured from when it was first seen here, since clocks differ.
 */
export class LeaderElection {
  private seen: { readonly version: string; readonly at: number } | null = null;

  constructor(
    private readonly cluster: Pick<Cluster, 'get' | 'create' | 'replace'>,
    private readonly options: LeaseOptions,
  ) {}

  /**
   * Waits for the lease, works while it holds, and begins again when it is lost; at the end it is given back.
   * @param work ends soon after its signal
   */
  async lead(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { log } = this.options;
    while (!signal.aborted) {
      const asked = performance.now();
      if (!(await this.tryTo('take'))) {
        await delay(retryMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      log.info('leads');
      const lost = new AbortController();
      const both = AbortSignal.any([signal, lost.signal]);
      const renewing = this.renew(both, asked).then((held) => {
        if (!held) log.warn('the lease is lost');
        lost.abort();
      });
      await work(both);
      lost.abort();
      await renewing;
    }
    await this.tryTo('give back');
  }

  /**
   * @param renewed when the lease was asked for that is held
   * @returns false when the lease was lost, true when told to end
   */
  private async renew(signal: AbortSignal, renewed: number): Promise<boolean> {
    const { renewWithinMs = usualRenewWithinMs } = this.options;
    for (;;) {
      await delay(retryMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return true;
      const asked = performance.now();
      // A request may hang for longer than the lease holds.
      if (await orFalseAfter(renewed + renewWithinMs - asked, this.tryTo('take'))) renewed = asked;
      else if (performance.now() - renewed >= renewWithinMs) return false;
    }
  }

  private async tryTo(what: 'take' | 'give back'): Promise<boolean> {
    try {
      return what === 'take' ? await this.take() : await this.giveBack();
    } catch (error) {
      // A conflict is another candidate that was quicker.
      if (!(error instanceof ApiFailure && error.status === 409))
        this.options.log.warn(`could not ${what} the lease`, { error });
      return false;
    }
  }

  private async take(): Promise<boolean> {
    const { ref, identity } = this.options;
    const lease = await this.cluster.get(ref);
    const now = new Date().toISOString().replace('Z', '000Z');
    const own = { holderIdentity: identity, leaseDurationSeconds: leaseSeconds, renewTime: now };
    if (lease === null) {
      await this.cluster.create(ref, { spec: { ...own, acquireTime: now, leaseTransitions: 0 } });
      return true;
    }
    const spec = specOf(lease);
    const isOwn = spec.holderIdentity === identity;
    if (!isOwn && !this.isFree(lease)) return false;
    const takenOver = { acquireTime: now, leaseTransitions: (spec.leaseTransitions ?? 0) + 1 };
    await this.cluster.replace(ref, { ...lease, spec: { ...spec, ...own, ...(isOwn ? {} : takenOver) } });
    return true;
  }

  private isFree(lease: KubeObject): boolean {
    const { holderIdentity, leaseDurationSeconds = leaseSeconds } = specOf(lease);
    if (holderIdentity === undefined || holderIdentity === '') return true;
    const version = lease.metadata.resourceVersion ?? '';
    if (this.seen?.version !== version) this.seen = { version, at: performance.now() };
    return performance.now() - this.seen.at > leaseDurationSeconds * 1000;
  }

  private async giveBack(): Promise<boolean> {
    const { ref, identity } = this.options;
    const lease = await this.cluster.get(ref);
    if (lease === null || specOf(lease).holderIdentity !== identity) return false;
    await this.cluster.replace(ref, { ...lease, spec: { ...specOf(lease), holderIdentity: '' } });
    return true;
  }
}

/** What it comes to; false when it takes longer, a negative time being none. */
async function orFalseAfter(ms: number, taken: Promise<boolean>): Promise<boolean> {
  const timer = new AbortController();
  // A timer may be a millisecond early.
  const late = delay(Math.max(0, Math.ceil(ms)) + 1, false, { signal: timer.signal }).catch(() => false);
  const first = await Promise.race([taken, late]);
  timer.abort();
  return first;
}
