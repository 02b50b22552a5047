import { describe, expect, it } from 'vitest';
import {
  browserSuite,
  expectAccessible,
  expectNoSidewaysScroll,
  haveChromium,
  keepScreenshot,
  needsChromium,
  phone,
  untilTrue,
  walkByTab,
} from '../support/browser.js';
import { coordinatorSuite, deedAt } from '../support/coordinator-suite.js';
import { eventually } from '../support/eventually.js';
import { journalOf } from '../support/coordinator-cluster.js';

describe.skipIf(!haveChromium)(`the page of a run at work, in a browser (${needsChromium})`, () => {
  const suite = coordinatorSuite();
  const browser = browserSuite();
  /** What Chromium says when the coordinator has ended and the page tries again. */
  const ended =
    /503 \(Service Unavailable\)|net::ERR_CONNECTION_REFUSED|net::ERR_INCOMPLETE_CHUNKED_ENCODING|net::ERR_EMPTY_RESPONSE|net::ERR_CONNECTION_RESET/u;

  it('follows it from before its first step, unaided, and looks right', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    const page = await browser.open(http);
    expect(await page.textContent('#worker-rows')).toBe('No worker is here: the run waits for one.');
    await run.worker(suite.good('reader', { deed: deedAt(6, 0, 'hold') }));
    await untilTrue(page, `document.querySelector('#headline dd').textContent === '6'`);
    await untilTrue(page, `document.querySelector('#switch-name').textContent === 'joint from step 4'`);
    await untilTrue(page, `document.querySelector('#worker-rows').textContent.includes('computes step 7, unit 0')`);
    await untilTrue(page, `document.querySelectorAll('#checkpoint-rows tr').length >= 3`);
    expect(await page.locator('.mark.evaluation').count()).toBeGreaterThanOrEqual(4 + 1);
    expect(await page.title()).toBe('tiny: training · showtell');
    const word = page.locator('.said.best .word').first();
    await word.waitFor();
    expect(await word.getAttribute('title')).toBe('50 %');
    expect(await word.getAttribute('class')).toBe('word p2');
    await expectAccessible(page);
    await keepScreenshot(page, 'live-desktop-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await expectAccessible(page);
    await keepScreenshot(page, 'live-desktop-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize(phone);
    await expectNoSidewaysScroll(page);
    await expectAccessible(page);
    await keepScreenshot(page, 'live-phone');
  });

  it('steers it: pause, resume, the joint phase, stop; and says that the coordinator has gone', async () => {
    const run = suite.begin([
      'phases.decoderOnly.steps=5000',
      'evaluation.everySteps=10000',
      'checkpoints.everySteps=1000',
    ]);
    const { http } = await run.announced();
    const page = await browser.open(http, { expected: ended });
    await run.worker(suite.good('a', { lossPerWord: () => 0.1 }));
    await page.getByRole('button', { name: 'Pause' }).click();
    await untilTrue(page, `document.querySelector('#state').textContent === 'paused'`);
    await page.getByRole('button', { name: 'Resume' }).click();
    await untilTrue(page, `document.querySelector('#state').textContent === 'training'`);
    const names = await walkByTab(page);
    expect(names.slice(0, 4)).toEqual(['to the run', 'Pause', 'Begin joint phase', 'Stop']);
    expect(names).toContain('workers');
    // Whoever thinks better of it changes nothing.
    await page.getByRole('button', { name: 'Begin joint phase' }).click();
    await expectAccessible(page);
    // A question keeps the focus to itself until it is answered.
    const focus = (): Promise<string> => page.evaluate('document.activeElement.textContent');
    expect(await focus()).toBe('No');
    await page.keyboard.press('Tab');
    expect(await focus()).toBe('Yes');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'No' }).click();
    expect(journalOf(run.folder).flatMap((entry) => (entry.type === 'command' ? [entry.command] : []))).toEqual([
      'pause',
      'resume',
    ]);

    await page.getByRole('button', { name: 'Begin joint phase' }).click();
    await page.getByRole('button', { name: 'Yes' }).click();
    await untilTrue(
      page,
      `document.querySelector('#moments').textContent.includes('a person asked for the joint phase')`,
    );
    await eventually('it ends by itself, four joint steps later', () => run.of('finished').length === 1);
    await untilTrue(page, `/has ended|does not answer/.test(document.querySelector('#connection').textContent)`);
  });

  it('stops it', async () => {
    const run = suite.begin(['phases.decoderOnly.steps=5000', 'evaluation.everySteps=10000']);
    const { http } = await run.announced();
    const page = await browser.open(http, { expected: ended });
    await run.worker(suite.good('a'));
    await run.until('step', 2);
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'Yes' }).click();
    await run.ended;
    expect(run.of('stopped')).toHaveLength(1);
  });

  it('verifies a checkpoint and gives it away', async () => {
    const run = suite.begin();
    const { http } = await run.announced();
    const page = await browser.open(http);
    await run.worker(suite.good('a', { deed: deedAt(3, 0, 'hold') }));
    await page.getByRole('button', { name: 'verify step 2' }).click();
    await untilTrue(page, `document.querySelector('.verified').textContent === 'sound'`);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'download manifest.json of step 2' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('run-2-manifest.json');
  });
});
