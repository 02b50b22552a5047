import type { NatsConnection } from 'nats';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { UnitQueue } from '@showtell/shared/bus/unit-queue.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Hello, ParameterServiceClient } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import type { ParameterLayout } from '@showtell/shared/tensors/layout.js';
import { ParameterClient } from './parameters/client.js';
import { Session, type SessionEvents } from './session.js';

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
  ) {}

  /**
   * Joins the run of the coordinator at an address.
   * @throws ShowtellError `worker/refused`, `bus/unreachable`; the stream's error when nobody answers there
   */
  static async join(
    { address, hello, job, layout, onBusState }: JoinOptions,
    events: SessionEvents,
  ): Promise<Membership> {
    const service = connectParameters(address);
    let session: Session | null = null;
    try {
      session = await Session.open(service, hello, events);
      const { welcome } = session;
      const bus = await connectBus({
        servers: welcome.natsUrl.split(','),
        name: `showtell worker ${hello.worker}`,
        onState: ({ type }) => onBusState(type),
      });
      const parameters = await ParameterClient.open({
        service,
        layout,
        worker: hello.worker,
        wire: job.wire.dtype,
        sharedMemory: { directory: welcome.sharedMemory, nonce: welcome.sharedMemoryNonce },
      });
      return new Membership(service, session, parameters, new UnitQueue(bus, welcome.unitStream), bus);
    } catch (error) {
      await session?.[Symbol.asyncDispose]();
      service.close();
      throw error;
    }
  }

  /** Leaves: what is still leased is the broker's to offer again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus.flush().catch(() => undefined);
    await this.session[Symbol.asyncDispose]();
    await this.bus.close();
    await this.parameters.close();
    this.service.close();
  }
}
