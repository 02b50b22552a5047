import type { NatsConnection } from 'nats';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { UnitQueue } from '@showtell/shared/bus/unit-queue.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Hello, ParameterServiceClient, Welcome } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { CallIdentity } from '@showtell/shared/rpc/call-identity.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import { ParameterClient } from './parameters/client.js';
import type { SharedPlace } from './parameters/part-link.js';
import { Session, type SessionEvents } from './session.js';
import { within } from './within.js';

const flushMs = 1_000;

export interface JoinOptions {
  /** host:port of the coordinator's gRPC service. */
  readonly address: string;
  readonly hello: Hello;
  readonly job: Job;
  readonly layout: ParameterLayout;
  readonly onBusState: (state: string) => void;
}

/** A worker's place in a run, from the coordinator's welcome to the end of the session. */
export class Membership implements AsyncDisposable {
  private constructor(
    readonly service: ParameterServiceClient,
    readonly session: Session,
    readonly parameters: ParameterClient,
    readonly queue: UnitQueue,
    private readonly bus: NatsConnection,
    private readonly shards: readonly ParameterServiceClient[],
  ) {}

  /**
   * Joins the run of the coordinator at an address.
   * @returns 'complete' when there is nothing left to do in it
   * @throws ShowtellError `worker/refused`, `worker/other-run`, `bus/unreachable`; the stream's error when nobody answers there
   */
  static async join(
    { address, hello, job, layout, onBusState }: JoinOptions,
    events: SessionEvents,
  ): Promise<Membership | 'complete'> {
    const identity = new CallIdentity({ run: hello.run || null, jobSha256: hello.jobSha256 });
    const service = connectParameters(address, { identity });
    const shards: ParameterServiceClient[] = [];
    let session: Session | null = null;
    try {
      session = await Session.open(service, hello, events);
      if (session === null) {
        service.close();
        return 'complete';
      }
      const { welcome } = session;
      assertOurs(welcome, hello, address);
      identity.run = welcome.run;
      const bus = await connectBus({
        servers: welcome.natsUrl.split(','),
        name: `showtell worker ${hello.worker}`,
        onState: ({ type }) => onBusState(type),
      });
      for (const { address: of } of welcome.shards) shards.push(connectParameters(of, { of: 'ps', identity }));
      const parameters = await ParameterClient.open({
        service,
        layout,
        worker: hello.worker,
        wire: job.wire.dtype,
        sharedMemory: placeOf(welcome),
        shards: welcome.shards.map((shard, i) => ({ service: shards[i] ?? service, sharedMemory: placeOf(shard) })),
      });
      return new Membership(service, session, parameters, new UnitQueue(bus, welcome.unitStream), bus, shards);
    } catch (error) {
      await session?.[Symbol.asyncDispose]();
      for (const each of [service, ...shards]) each.close();
      throw error;
    }
  }

  /** Leaves: what is still leased is the broker's to offer again. */
  async [Symbol.asyncDispose](): Promise<void> {
    // Over a connection that is half open nothing comes back.
    await within(flushMs, this.bus.flush());
    await this.session[Symbol.asyncDispose]();
    await this.bus.close();
    await this.parameters.close();
    for (const service of [this.service, ...this.shards]) service.close();
  }
}

/** Whoever answers at an address may lead another run than this worker is for. @throws ShowtellError `worker/other-run` */
function assertOurs(welcome: Welcome, hello: Hello, address: string): void {
  const isOurs = welcome.jobSha256 === hello.jobSha256 && (hello.run === '' || welcome.run === hello.run);
  if (isOurs) return;
  const there = { run: welcome.run, job: welcome.jobSha256 };
  throw new ShowtellError('worker/other-run', { address, there, own: { run: hello.run, job: hello.jobSha256 } });
}

function placeOf(at: Pick<Welcome, 'sharedMemory' | 'sharedMemoryNonce'>): SharedPlace {
  return { directory: at.sharedMemory, nonce: at.sharedMemoryNonce };
}
