import { expect, it } from 'vitest';
import { Control } from '@showtell/coordinator/control.js';

it('a pause that comes after a stop holds nothing up', async () => {
  const control = new Control();
  control.stop();
  control.pause();
  await control.untilResumed();
  expect([control.isPaused, control.interruption]).toEqual([false, { type: 'stop' }]);
});

it('a stop ends a pause', async () => {
  const control = new Control();
  control.pause();
  const resumed = control.untilResumed();
  control.stop();
  await resumed;
  expect(control.interruption).toEqual({ type: 'stop' });
});
