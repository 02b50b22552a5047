import { certificateExpiry, tellExpiry } from '@showtell/shared/service/certificate-expiry.js';
import { openSeries } from '@showtell/shared/service/series.js';
import { expect, it } from 'vitest';
import { testCerts } from '../../support/certs.js';
import { eventually } from '../../support/eventually.js';

const dayMs = 86_400_000;

it("a certificate's end is told, also of one that was renewed; without TLS nothing is", async () => {
  using certs = await testCerts({ days: 2 });
  const { registry, series } = openSeries({ certificateExpiry });
  const end = async (): Promise<number> => {
    const [, value = 'none'] = /^showtell_certificate_expiry_seconds\{role="worker"\} (\S+)$/mu.exec(await registry.metrics()) ?? []; // prettier-ignore
    return Number(value) * 1000 - Date.now();
  };
  using _nothing = tellExpiry(series.certificateExpiry, null);
  expect(await end()).toBeNaN();
  using _told = tellExpiry(series.certificateExpiry, certs.of('worker'), 20);
  expect(await end()).toBeGreaterThan(1.9 * dayMs);
  expect(await end()).toBeLessThan(2.1 * dayMs);
  await certs.renew({ days: 9 });
  await eventually('the renewed one is told', async () => (await end()) > 8 * dayMs);
});
