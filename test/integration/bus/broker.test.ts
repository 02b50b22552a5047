import { Beside } from '@showtell/coordinator/beside.js';
import { Broker } from '@showtell/coordinator/broker.js';
import { openLog } from '@showtell/shared/service/log.js';
import { Events } from 'nats';
import { expect, it } from 'vitest';
import { startTestNats } from '../../support/nats-server.js';

it('a coordinator that ends while NATS is away leaves no connection that would come back', async () => {
  using log = openLog({ fields: {}, level: 'silent' });
  const nats = await startTestNats();
  const broker = await Broker.open({
    ...{ url: nats.url, run: 'r', generation: 1, leaseMs: 5_000, tls: null, beside: new Beside(log), log },
    dispatcher: () => {
      throw new Error('nothing is offered here');
    },
    onLost: () => undefined,
  });
  const away = (async () => {
    for await (const { type } of broker.bus.status()) if (type === Events.Disconnect) return;
  })();
  await nats[Symbol.asyncDispose]();
  await away;
  await broker[Symbol.asyncDispose]();
  expect(broker.bus.isClosed()).toBe(true);
});
