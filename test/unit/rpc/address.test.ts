import { isAddress } from '@showtell/shared/rpc/address.js';
import { expect, it } from 'vitest';

it('an address has a host and a port that there is', () => {
  for (const text of ['localhost:50051', '127.0.0.1:1', '[::1]:65535', 'ps-0.ps:50052'])
    expect(isAddress(text)).toBe(true);
  for (const text of [
    'localhost',
    'localhost:',
    ':50051',
    'a:0',
    'a:65536',
    'a:99999',
    'a:-1',
    'a b:1',
    'nats://a:1',
    '',
  ])
    expect(isAddress(text), text).toBe(false);
});
