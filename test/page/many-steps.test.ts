import { describe, expect, it } from 'vitest';
import { MountedDashboard } from '@showtell/coordinator/dashboard/mount.js';
import { nowOfFolder } from '@showtell/coordinator/dashboard/run-now.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { Registry } from 'prom-client';
import { browserSuite, haveChromium, keepScreenshot, needsChromium } from '../support/browser.js';
import { makeRun } from '../support/made-run.js';
import { temporaryFolder } from '../support/temporary-folder.js';

describe.skipIf(!haveChromium)(`the page of fifty thousand steps (${needsChromium})`, () => {
  const browser = browserSuite();

  it('comes in at most 2 MB, and no zoom holds it up for 50 ms', async () => {
    const folder = await makeRun(`${temporaryFolder()}/long`, { steps: 50_000, everySteps: 500 });
    const shown = { id: 'long', folder, now: nowOfFolder(folder), commands: null };
    await using mounted = new MountedDashboard({ runs: [shown], host: '127.0.0.1', token: null });
    await using server = await serveHttp({
      ...{ host: '127.0.0.1', port: 0, registry: new Registry(), ready: () => true, handle: mounted.handle },
      ...{ what: 'the page', setting: '--port' },
    });
    const page = await browser.open('about:blank', { isOther: true, expected: /asked elsewhere/u });
    // Every byte that comes, compressed or not, as the browser has it then: of the stream of events too, which has no end.
    const network = await page.context().newCDPSession(page);
    await network.send('Network.enable');
    const bytes = new Map<string, number>();
    const kinds = new Map<string, string>();
    const failed: string[] = [];
    network.on('Network.responseReceived', ({ requestId, type }) => kinds.set(requestId, type));
    network.on('Network.dataReceived', ({ requestId, dataLength }) =>
      bytes.set(requestId, (bytes.get(requestId) ?? 0) + dataLength),
    );
    network.on('Network.loadingFailed', ({ requestId, errorText }) => failed.push(`${requestId}: ${errorText}`));
    const payloadOf = (kind?: string): number =>
      [...bytes].reduce((sum, [id, n]) => sum + (kind === undefined || kinds.get(id) === kind ? n : 0), 0);
    await page.goto(server.url);
    await page.waitForSelector('body[data-ready]');
    await page.waitForLoadState('load');
    await page.waitForTimeout(1_000);
    expect(failed).toEqual([]);
    expect([...kinds.values()]).toContain('EventSource');
    expect(payloadOf('EventSource')).toBeGreaterThan(0);
    expect(payloadOf()).toBeGreaterThan(50_000);
    expect(payloadOf()).toBeLessThanOrEqual(2_000_000);
    await network.detach();

    await page.locator('#plot-loss .u-over').scrollIntoViewIfNeeded();
    await page.waitForTimeout(500);
    await page.evaluate(`
      window.longTasks = [];
      new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
        .observe({ type: 'longtask', buffered: false });`);
    const range = () => page.locator('#range').textContent();
    expect(await range()).toBe('all, steps 0 to 50,000');
    // Dragging over a plot, then keys, then buttons: each waits for the detail that follows.
    const box = (await page.locator('#plot-loss .u-over').boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 70, { steps: 8 });
    const detail = page.waitForResponse(/history\?from=/u);
    await page.mouse.up();
    expect(await range()).toMatch(/^steps (19|20),\d+ to (24|25),\d+$/u);
    await detail;
    await page.locator('#plot-loss .plot').focus();
    for (const key of ['+', '+', 'ArrowRight', 'ArrowLeft', '-', '+', '+', '+']) {
      await page.keyboard.press(key);
      await page.waitForTimeout(250);
    }
    for (const name of ['later steps', 'earlier steps', 'zoom out', 'zoom in']) {
      await page.getByRole('button', { name }).click();
      await page.waitForTimeout(250);
    }
    await page.waitForTimeout(300);
    const [min, max] = (await range())!.match(/[\d,]+/gu)!.map((text) => Number(text.replace(',', '')));
    expect(max! - min!).toBeLessThan(600);
    await keepScreenshot(page, 'fifty-thousand-steps-zoomed');
    await page.keyboard.press('0');
    await page.getByRole('button', { name: 'all', exact: true }).click();
    await page.waitForTimeout(300);
    expect(await range()).toBe('all, steps 0 to 50,000');
    const longest = Math.max(0, ...(await page.evaluate<number[]>('longTasks')));
    expect(longest).toBeLessThanOrEqual(50);
    await keepScreenshot(page, 'fifty-thousand-steps');
    await page.context().close();
  });
});
