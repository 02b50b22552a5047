import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { icon, loginPage, mainPage } from './page-html.js';
import { pageStyle } from './page-style.js';

export interface Asset {
  readonly type: string;
  readonly body: Buffer;
  readonly etag: string;
}

/** All that the page is made of, by path: nothing else of this package can be asked for. */
export function openAssets(): ReadonlyMap<string, Asset> {
  const script = 'text/javascript; charset=utf-8';
  const style = 'text/css; charset=utf-8';
  const uplot = (name: string): Buffer => readFileSync(fileURLToPath(import.meta.resolve(`uplot/dist/${name}`)));
  const assets = new Map<string, Asset>();
  const add = (path: string, type: string, body: Buffer): void => {
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    assets.set(path, { type, body, etag });
  };
  add('/', 'text/html; charset=utf-8', Buffer.from(mainPage));
  add('/login', 'text/html; charset=utf-8', Buffer.from(loginPage(false)));
  add('/login/again', 'text/html; charset=utf-8', Buffer.from(loginPage(true)));
  add('/page/icon.svg', 'image/svg+xml', Buffer.from(icon));
  add('/page/style.css', style, Buffer.from(pageStyle));
  add('/page/uplot.css', style, uplot('uPlot.min.css'));
  add('/page/uplot.js', script, uplot('uPlot.iife.min.js'));
  const folder = new URL('./page/', import.meta.url);
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.js')))
    add(`/page/${name}`, script, readFileSync(new URL(name, folder)));
  return assets;
}
