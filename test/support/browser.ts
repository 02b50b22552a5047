import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { eventually } from './eventually.js';

/** Debian's package `chromium` has it; another one by the environment. */
const chromiumPath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
export const haveChromium = existsSync(chromiumPath);
/** For a test's title. */
export const needsChromium = 'needs Chromium: apt-get install chromium, or CHROMIUM=its path';

/** Where screenshots are kept, to be looked at: `tmp/page/`. */
const screenshots = fileURLToPath(new URL('../../tmp/page/', import.meta.url));

export interface BrowserSuite {
  /** A page whose console must stay clean: whatever is wrong in it fails the test. */
  readonly open: (url: string, options?: OpenOptions) => Promise<Page>;
}

interface OpenOptions extends Pick<BrowserContextOptions, 'colorScheme' | 'hasTouch' | 'viewport'> {
  /** Messages that the test is about. */
  readonly expected?: RegExp;
  /** Not to wait until the page shows its run. */
  readonly isOther?: true;
}

export const phone = { width: 390, height: 844 };

/** One Chromium for a test file. */
export function browserSuite(): BrowserSuite {
  let browser: Browser | undefined;
  beforeAll(async () => {
    if (!haveChromium) return;
    // Its sandbox needs rights that a container's root has not.
    browser = await chromium.launch({ executablePath: chromiumPath, args: ['--no-sandbox'] });
  });
  afterAll(() => browser?.close());
  return {
    open: async (url, { expected, isOther, ...options } = {}) => {
      if (browser === undefined) throw new Error(needsChromium);
      const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
      const page = await context.newPage();
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(String(error.stack)));
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) faults.push(`${message.type()}: ${message.text()}`);
      });
      page.on('request', (request) => {
        if (new URL(request.url()).origin !== new URL(url).origin) faults.push(`asked elsewhere: ${request.url()}`);
      });
      onTestFinished(async () => {
        await context.close();
        expect(faults.filter((fault) => expected === undefined || !expected.test(fault))).toEqual([]);
      });
      await page.goto(url);
      if (isOther !== true) await page.waitForSelector('body[data-ready]');
      return page;
    },
  };
}

/** Waits until an expression in the page is true; asked from outside, since the page itself may evaluate no text. */
export async function untilTrue(page: Page, expression: string): Promise<void> {
  await eventually(expression, () => page.evaluate<boolean>(expression));
}

/** Keeps what the page looks like, all of it, its plots and pictures drawn. */
export async function keepScreenshot(page: Page, name: string): Promise<void> {
  mkdirSync(screenshots, { recursive: true });
  await seeAll(page);
  await page.screenshot({ path: `${screenshots}${name}.png`, fullPage: true });
}

/** Scrolls through the page, so that what is drawn when it comes in sight is there. */
async function seeAll(page: Page): Promise<void> {
  const height = await page.evaluate<number>('document.documentElement.scrollHeight');
  for (let y = 0; y < height; y += 500) {
    await page.evaluate(`scrollTo(0, ${y})`);
    await page.waitForTimeout(60);
  }
  await page.evaluate('scrollTo(0, 0)');
  await page.waitForTimeout(150);
}

/** Fails at what axe finds serious or worse. */
export async function expectAccessible(page: Page): Promise<void> {
  const { violations, passes } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  expect(serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`)).toEqual([]);
  // It has looked at something.
  expect(passes.length).toBeGreaterThan(10);
}

/** No part of the page is wider than the window: only tables scroll, by themselves. */
export async function expectNoSidewaysScroll(page: Page): Promise<void> {
  const [wide, window] = await page.evaluate<[number, number]>('[document.documentElement.scrollWidth, innerWidth]');
  expect(wide).toBeLessThanOrEqual(window);
}

/** Draws a finger over the page, as a touch screen tells it. */
export async function dragFinger(page: Page, from: Point, to: Point): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', touchPoints: Point[]): Promise<unknown> =>
    session.send('Input.dispatchTouchEvent', { type, touchPoints });
  await touch('touchStart', [from]);
  for (let i = 1; i <= 8; i++)
    await touch('touchMove', [{ x: from.x + ((to.x - from.x) * i) / 8, y: from.y + ((to.y - from.y) * i) / 8 }]);
  await touch('touchEnd', []);
  await session.detach();
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** What one press of Tab came to. */
interface Stop {
  /** Of the controls in the order of the document; -1: none of them. */
  readonly index: number;
  readonly name: string;
  readonly hasOutline: boolean;
  readonly isInSight: boolean;
  /** From the top of the page. */
  readonly top: number;
}

/**
 * Presses Tab through the whole page: every control that can be used is reached, once and in the order of the document, which goes
 * down the page; is seen to have the focus; and is in sight then.
 * @returns the controls' names
 */
export async function walkByTab(page: Page): Promise<string[]> {
  await page.evaluate(`
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
    window.controls = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')].filter(
      (one) => one.tabIndex >= 0 && one.disabled !== true && one.checkVisibility());`);
  const count = await page.evaluate<number>('controls.length');
  const stops: Stop[] = [];
  for (let i = 0; i < count; i++) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate<Stop>(`(() => {
      const one = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(one);
      const { top, bottom, left, right } = one.getBoundingClientRect();
      return {
        index: controls.indexOf(one),
        name: one.getAttribute('aria-label') ?? one.labels?.[0]?.textContent ?? one.textContent,
        hasOutline: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1,
        isInSight: bottom > 0 && top < innerHeight && right > 0 && left < innerWidth,
        top: top + scrollY,
      };
    })()`);
    expect(stop, `control ${i}, after ${stops.at(-1)?.name ?? 'nothing'}`).toMatchObject({
      ...{ index: i, hasOutline: true, isInSight: true },
    });
    // Neighbours of one row do not begin at quite the same height.
    if (i > 1) expect(stop.top, stop.name).toBeGreaterThan((stops.at(-1)?.top ?? 0) - 60);
    stops.push(stop);
  }
  return stops.map(({ name }) => name);
}
