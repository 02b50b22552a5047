import { status } from '@grpc/grpc-js';
import { isTransient } from '@showtell/shared/rpc/channel.js';
import { expect, it } from 'vitest';

it('what broke on its way may pass, the name of a method too; what was answered stays', () => {
  for (const code of [status.UNAVAILABLE, status.INTERNAL, status.UNKNOWN, status.UNIMPLEMENTED])
    expect(isTransient(Object.assign(new Error('x'), { code })), status[code]).toBe(true);
  for (const code of [status.INVALID_ARGUMENT, status.FAILED_PRECONDITION, status.PERMISSION_DENIED])
    expect(isTransient(Object.assign(new Error('x'), { code })), status[code]).toBe(false);
  expect([isTransient(null), isTransient(new Error('x'))]).toEqual([false, false]);
});
