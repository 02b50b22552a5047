import {
  CommandRequest,
  CommandRequest_Kind,
  CommandResponse,
} from '@showtell/shared/generated/showtell/v1/control.js';
import type { Hello, SessionRequest, SessionResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { jobSchema } from '@showtell/shared/job/job.js';
import { listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';
import { identityIn } from '@showtell/shared/rpc/call-identity.js';
import { sealedParameterService } from '@showtell/shared/rpc/sealed-service.js';
import { layOut } from '@showtell/shared/tensors/layout.js';
import { Membership } from '@showtell/worker/membership.js';
import { sendCommand } from '@showtell/coordinator/commands.js';
import type { Metadata, ServerDuplexStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import { describe, expect, it, onTestFinished } from 'vitest';
import { journalOf } from '../../support/coordinator-cluster.js';
import { coordinatorSuite } from '../../support/coordinator-suite.js';

const suite = coordinatorSuite();

/** Answers every greeting with the same welcome, whoever it is for. */
async function welcoming(run: string, jobSha256: string): Promise<{ address: string; said: Metadata[] }> {
  const said: Metadata[] = [];
  const handlers: UntypedServiceImplementation = {};
  for (const name of Object.keys(sealedParameterService)) handlers[name] = () => undefined;
  handlers['session'] = (call: ServerDuplexStream<SessionRequest, SessionResponse>): void => {
    said.push(call.metadata);
    const welcome = { run, jobSha256, generation: 1, natsUrl: suite.nats.url, unitStream: 's', shards: [] };
    call.on('data', () =>
      call.write({
        message: { $case: 'welcome', value: { ...welcome, sharedMemory: '', sharedMemoryNonce: '' } },
      }),
    );
    call.on('error', () => undefined).on('end', () => call.end());
  };
  const server = newGrpcServer();
  server.addService(sealedParameterService, handlers);
  const port = await listen(server, '127.0.0.1:0');
  onTestFinished(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, said };
}

describe('a worker', () => {
  const hello: Hello = {
    ...{ worker: 'w', pid: 1, host: 'h', version: 'v', datasetDigest: 'd', engine: 'e', instance: 'i' },
    ...{ jobSha256: 'own job', run: '' },
  };
  const layout = layOut([{ name: 'lstm/kernel', shape: [4, 6], group: 'decoder' }]);
  const join = (address: string, run: string) =>
    Membership.join(
      { address, hello: { ...hello, run }, job: jobSchema.parse({}), layout, onBusState: () => undefined },
      { version: () => undefined, command: () => undefined, offer: () => undefined },
    );

  it('does not stay where it is welcomed to another job, or another run than its own', async () => {
    const other = await welcoming('own', 'other job');
    await expect(join(other.address, '')).rejects.toMatchObject({ code: 'worker/other-run', exitCode: 78 });
    const { address } = await welcoming('other', 'own job');
    await expect(join(address, 'own')).rejects.toThrow(
      `The coordinator at ${address} leads run other of job own job; this worker is for run own of job own job.`,
    );
  });

  it('says its job from the first call on, and the run as soon as it knows it', async () => {
    const { address, said } = await welcoming('r', 'own job');
    for (const run of ['', 'r']) {
      const member = await join(address, run);
      if (member === 'complete') throw new Error('it was told that the run is over');
      const again = member.service.session();
      again.on('error', () => undefined);
      await new Promise((resolve) => {
        again.once('data', resolve);
        again.write({ message: { $case: 'hello', value: hello } });
      });
      again.cancel();
      await member[Symbol.asyncDispose]();
    }
    const known = { run: 'r', jobSha256: 'own job', token: null };
    expect(said.map(identityIn)).toEqual([{ ...known, run: null }, known, known, known]);
  });
});

it('a command for another run or job, or for none, does nothing', async () => {
  const run = suite.begin();
  const live = await run.announced();
  const { run: name, jobSha256 } = run.folder.identity();
  const bus = await connectBus({ servers: [live.nats], name: 'test' });
  onTestFinished(() => bus.close());
  for (const named of [
    { run: 'other', jobSha256 },
    { run: name, jobSha256: 'other' },
    { run: '', jobSha256: '' },
  ]) {
    const request = CommandRequest.encode({ kind: CommandRequest_Kind.KIND_STOP, ...named }).finish();
    const { data } = await bus.request(`showtell.${name}.command`, request);
    const { ok, error } = CommandResponse.decode(data);
    expect([ok, error]).toEqual([false, expect.stringContaining('the command is for run')]);
  }
  expect(await sendCommand(live, run.folder.identity(), 'KIND_STATUS')).toMatchObject({ run: name });
  expect(journalOf(run.folder).filter(({ type }) => type === 'command')).toEqual([]);
});
