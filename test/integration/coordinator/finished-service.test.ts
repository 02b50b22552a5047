import { status } from '@grpc/grpc-js';
import { finishedService } from '@showtell/coordinator/finished-service.js';
import { Command_Kind, type Hello, type SessionResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters, listen, newGrpcServer } from '@showtell/shared/rpc/channel.js';
import { sealedParameterService } from '@showtell/shared/rpc/sealed-service.js';
import { expect, it, onTestFinished } from 'vitest';

const hello = {
  worker: 'w',
  pid: 1,
  host: 'here',
  version: '0',
  jobSha256: 'j',
  datasetDigest: '',
  engine: '',
  instance: '',
  run: '',
};

it('a worker that comes, or asks, as the run ends is told that it is over, by no failure that would end it as one', async () => {
  const server = newGrpcServer();
  server.addService(sealedParameterService, { ...finishedService({ run: 'r', jobSha256: 'j' }) });
  const service = connectParameters(`127.0.0.1:${await listen(server, '127.0.0.1:0')}`);
  onTestFinished(() => {
    service.close();
    server.forceShutdown();
  });
  // The worker takes this code for a coordinator that is gone, whatever it asked; another one ends its process.
  const asked = new Promise((resolve) => service.checkCanary({ worker: 'w', graph: 'g', sha256: '' }, resolve));
  expect(await asked).toMatchObject({ code: status.CANCELLED, details: 'the run is over' });
  const told = async (more: Partial<Hello>): Promise<SessionResponse['message']> => {
    const session = service.session().on('error', () => undefined);
    const answer = new Promise<SessionResponse>((resolve) => session.once('data', resolve));
    session.write({ message: { $case: 'hello', value: { ...hello, ...more } } });
    const { message } = await answer;
    session.cancel();
    return message;
  };
  const complete = { $case: 'command', value: { kind: Command_Kind.KIND_COMPLETE } };
  expect(await told({})).toMatchObject(complete);
  expect(await told({ run: 'r' })).toMatchObject(complete);
  // Another run is not over.
  expect(await told({ run: 'other' })).toMatchObject({ $case: 'refusal', value: { code: 'worker/other-run' } });
  expect(await told({ jobSha256: 'other' })).toMatchObject({ $case: 'refusal', value: { code: 'worker/other-job' } });
});
