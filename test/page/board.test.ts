import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  browserSuite,
  dragFinger,
  expectAccessible,
  expectNoSidewaysScroll,
  haveChromium,
  keepScreenshot,
  needsChromium,
  phone,
  untilTrue,
  walkByTab,
} from '../support/browser.js';
import { eventually } from '../support/eventually.js';
import { LocalCluster } from '../support/local-run.js';
import { makeRun } from '../support/made-run.js';

const cluster = LocalCluster.open();
const token = 'a token of the tests, long enough';

/** `showtell board` at work, by its address. */
async function board(args: readonly string[]): Promise<string> {
  const command = cluster.start(['board', ...args, '--port', '0']);
  await eventually('the board listens', () => command.output.includes('\n') || command.isOver);
  expect(command.isOver, JSON.stringify(command)).toBe(false);
  return command.output.trim();
}

describe('showtell board', () => {
  it('refuses what cannot be shown, and to show it to others without a token', async () => {
    expect(await cluster.run(['board', cluster.at('nothing')])).toMatchObject({ code: 66, stdout: '' });
    await makeRun(cluster.at('short'), { steps: 20, everySteps: 10 });
    const open = await cluster.run(['board', cluster.at('short'), '--host', '0.0.0.0']);
    expect([open.code, open.stderr]).toMatchObject([78, expect.stringContaining('no token was given')]);
    writeFileSync(cluster.at('token'), 'short\n');
    const short = await cluster.run(['board', cluster.at('short'), '--token-file', cluster.at('token')]);
    expect([short.code, short.stderr]).toMatchObject([78, expect.stringContaining('has 5 characters')]);
  });

  it('ends at a signal, with those who watch', async () => {
    await makeRun(cluster.at('watched'), { steps: 20, everySteps: 10 });
    const command = cluster.start(['board', cluster.at('watched'), '--port', '0']);
    await eventually('the board listens', () => command.output.includes('\n'));
    const stream = await fetch(`${command.output.trim()}/api/runs/watched/events?revision=0&last=0`);
    command.signal('SIGTERM');
    expect(await command.ended).toMatchObject({ code: 0, stderr: '' });
    await expect(stream.text()).resolves.toContain('event:bye');
  });
});

describe.skipIf(!haveChromium)(`showtell board, in a browser (${needsChromium})`, () => {
  const browser = browserSuite();

  it('shows a run that has ended as a whole', async () => {
    await makeRun(cluster.at('ended'), { steps: 400, everySteps: 50 });
    const page = await browser.open(await board([cluster.at('ended')]));
    expect(await page.textContent('#state')).toBe('finished');
    expect(await page.isVisible('#controls')).toBe(false);
    expect(await page.isVisible('#workers')).toBe(false);
    expect(await page.locator('#plots canvas').count()).toBeGreaterThanOrEqual(3);
    // Through training by the keyboard alone.
    const slider = page.getByRole('slider', { name: 'Evaluation' });
    await slider.focus();
    expect(await page.textContent('#evaluation-when')).toBe('step 400, joint');
    await page.keyboard.press('Home');
    await untilTrue(page, `document.querySelector('.said.best').textContent.includes('at step 0')`);
    expect(await page.textContent('#evaluation-when')).toBe('before training');
    await page.keyboard.press('ArrowRight');
    await untilTrue(page, `document.querySelector('.said.best').textContent.includes('at step 50')`);
    expect(await page.locator('.said.best .word').first().getAttribute('class')).toBe('word p1');
    await expectAccessible(page);
  });

  it('is walked by Tab alone, every control seen to have the focus in its turn', async () => {
    await makeRun(cluster.at('walked'), { steps: 60, everySteps: 20 });
    const page = await browser.open(await board([cluster.at('walked')]));
    await page.locator('#plot-loss').scrollIntoViewIfNeeded();
    await page.getByRole('button', { name: 'zoom in' }).click();
    const names = await walkByTab(page);
    expect(names[0]).toBe('to the run');
    for (const name of ['earlier steps', 'zoom in', 'zoom out', 'later steps', 'all', 'Evaluation'])
      expect(names).toContain(name);
    expect(names.filter((name) => name.includes('Arrow keys move'))).toHaveLength(await page.locator('.plot').count());
    // And back.
    await page.keyboard.press('Shift+Tab');
    expect(await page.evaluate('controls.indexOf(document.activeElement)')).toBe(names.length - 2);
  });

  it('compares several, and shows each', async () => {
    await makeRun(cluster.at('first'), { steps: 300, everySteps: 50 });
    await makeRun(cluster.at('second'), { steps: 500, everySteps: 50, seed: 2 });
    const page = await browser.open(await board([cluster.at('first'), cluster.at('second')]));
    expect(await page.locator('#run-rows tr').count()).toBe(2);
    expect(await page.textContent('#range')).toBe('all, steps 0 to 500');
    expect(await page.locator('#plot-loss .legend').innerText()).toMatch(/first [\d.]+\s+second [\d.]+/u);
    await expectAccessible(page);
    await keepScreenshot(page, 'compared-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await expectAccessible(page);
    await keepScreenshot(page, 'compared-dark');
    await page.getByRole('link', { name: 'second' }).click();
    await page.waitForSelector('body[data-view=run][data-ready]');
    expect(await page.textContent('#name')).toBe('second');
    await page.getByRole('link', { name: 'all runs' }).click();
    await page.waitForSelector('body[data-view=runs][data-ready]');
  });

  it('fits a phone, where the pointer is a finger', async () => {
    await makeRun(cluster.at('small'), { steps: 100, everySteps: 20 });
    const options = { viewport: phone, colorScheme: 'dark', hasTouch: true } as const;
    const page = await browser.open(await board([cluster.at('small')]), options);
    await expectNoSidewaysScroll(page);
    await expectAccessible(page);
    await keepScreenshot(page, 'ended-phone-dark');

    // Across a plot the finger marks what to zoom to, up and down it scrolls; buttons take it too.
    expect(await page.evaluate("matchMedia('(pointer: coarse)').matches")).toBe(true);
    const plot = page.locator('#plot-loss .u-over');
    await plot.scrollIntoViewIfNeeded();
    await untilTrue(page, `document.querySelector('#plot-loss canvas') !== null`);
    const box = (await plot.boundingBox())!;
    const at = (share: number, y: number) => ({ x: box.x + box.width * share, y: box.y + y });
    await dragFinger(page, at(0.5, 120), at(0.5, 20));
    expect(await page.textContent('#range')).toBe('all, steps 0 to 100');
    await untilTrue(page, `document.querySelector('#plot-loss').getBoundingClientRect().y < ${box.y}`);
    await plot.scrollIntoViewIfNeeded();
    await page.waitForTimeout(300);
    const { y } = (await plot.boundingBox())!;
    await dragFinger(page, { ...at(0.4, 0), y: y + 60 }, { ...at(0.6, 0), y: y + 62 });
    await untilTrue(page, `/^steps (39|40|41) to (59|60|61)$/.test(document.querySelector('#range').textContent)`);
    // A tap so soon after the finger was lifted would be the second of two.
    await page.waitForTimeout(500);
    await page.getByRole('button', { name: 'all', exact: true }).tap();
    await untilTrue(page, `document.querySelector('#range').textContent === 'all, steps 0 to 100'`);
  });

  it('asks for its token by a form', async () => {
    await makeRun(cluster.at('private'), { steps: 40, everySteps: 20 });
    writeFileSync(cluster.at('token'), `${token}\n`);
    const url = await board([cluster.at('private'), '--token-file', cluster.at('token')]);
    const page = await browser.open(url, { isOther: true, expected: /status of 401/u });
    await expectAccessible(page);
    await keepScreenshot(page, 'token');
    await page.getByLabel('Token').fill('not this one');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('That was not the token.').waitFor();
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.waitForSelector('body[data-ready]');
    expect(await page.textContent('#name')).toBe('private');
  });
});
