import { serveGrpc } from '@showtell/coordinator/serve-grpc.js';
import type { ParameterServiceServer } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { describe, expect, it } from 'vitest';

function serve(host: string, port: number): ReturnType<typeof serveGrpc> {
  return serveGrpc({ host, port, tls: null, onRefused: () => undefined }, {} as ParameterServiceServer);
}

describe('serveGrpc', () => {
  it('tells a port that is taken from an address that is not of this machine', async () => {
    await using first = await serve('127.0.0.1', 0);
    await expect(serve('127.0.0.1', first.port)).rejects.toMatchObject({ code: 'service/port-taken' });
    // Of the addresses for documentation.
    await expect(serve('192.0.2.1', 0)).rejects.toMatchObject({
      code: 'service/cannot-listen',
      facts: { what: 'the parameter server', setting: '--host and --grpc-port', reason: 'EADDRNOTAVAIL' },
    });
  });
});
