import { expect, it } from 'vitest';
import { freePorts } from '@showtell/coordinator/local/free-port.js';

it('gives no port twice', async () => {
  const ports = await freePorts(300);
  expect(new Set(ports).size).toBe(300);
  expect(Math.min(...ports)).toBeGreaterThan(0);
});
