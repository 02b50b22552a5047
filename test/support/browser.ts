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

interface OpenOptions extends Pick<BrowserContextOptions, 'colorScheme' | 'viewport'> {
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
