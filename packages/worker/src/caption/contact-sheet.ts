import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { ShowtellError } from '@showtell/shared/errors.js';
import type { Outcome } from './caption-pictures.js';
import { probability } from './print.js';

/** Side of the sheet's thumbnails, in pixels; shown at half of it, so that they are sharp on any screen. */
export const thumbnailSide = 440;

const style = `
:root { color-scheme: light dark; --page: #f7f6f2; --card: #fff; --ink: #1d1f24; --soft: #666a73; --line: #e3e1da; --wrong: #c0392b; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14161a; --card: #1c1f25; --ink: #e9e8e4; --soft: #9a9ea8; --line: #2c3038; --wrong: #ff8a7a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 32px 20px 56px; }
h1 { font-size: 24px; letter-spacing: -0.02em; margin: 0 0 2px; }
.about { color: var(--soft); margin: 0 0 24px; overflow-wrap: anywhere; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 16px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; display: flex; flex-direction: column; }
figure img { display: block; width: 100%; height: 200px; object-fit: contain; background: #00000014; }
figure.bad { border-color: var(--wrong); }
figcaption { padding: 10px 14px 14px; }
.best { font-weight: 600; }
ol { list-style: none; margin: 6px 0 0; padding: 0; color: var(--soft); font-size: 13px; }
li, .best { display: flex; gap: 8px; justify-content: space-between; }
li + li { margin-top: 2px; }
.p { flex: none; font-variant-numeric: tabular-nums; font-weight: 400; color: var(--soft); font-size: 13px; }
.name { margin-top: 10px; color: var(--soft); font-size: 12px; overflow-wrap: anywhere; }
.bad .name { margin-top: 0; color: var(--wrong); }
@media print { body { background: none; } figure { break-inside: avoid; } }
`;

/**
 * An HTML page of pictures under which their captions stand: one file, thumbnails within, no scripts. It grows beside its
 * place as pictures come, so that a folder of any size fits in memory, and is renamed there when it is whole.
 */
export class ContactSheet implements Disposable {
  readonly #beside: string;
  #descriptor: number | null;

  /** @throws ShowtellError `caption/sheet-unwritable` */
  constructor(
    readonly file: string,
    { checkpoint, beam }: { readonly checkpoint: string; readonly beam: number },
  ) {
    this.#beside = `${file}.${process.pid}.writing`;
    this.#descriptor = this.#try(() => openSync(this.#beside, 'w'));
    this.#write(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Captions</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Captions</h1>
<p class="about">by ${escape(checkpoint)}, beam ${beam}; beside each its probability</p>
<div class="sheet">
`);
  }

  /** Adds a picture with its captions, or why it has none. @throws ShowtellError `caption/sheet-unwritable` */
  add(outcome: Outcome): void {
    this.#write('error' in outcome ? failedCard(outcome) : card(outcome));
  }

  /** Puts the page in its place. @throws ShowtellError `caption/sheet-unwritable` */
  finish(): void {
    this.#write('</div>\n</main>\n</body>\n</html>\n');
    this.#close();
    this.#try(() => renameSync(this.#beside, this.file));
  }

  /** What was not finished is removed. */
  [Symbol.dispose](): void {
    if (this.#descriptor === null) return;
    this.#close();
    rmSync(this.#beside, { force: true });
  }

  #write(text: string): void {
    this.#try(() => {
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length;) at += writeSync(this.#descriptor as number, bytes, at);
    });
  }

  #close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }

  #try<T>(write: () => T): T {
    try {
      return write();
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      throw new ShowtellError('caption/sheet-unwritable', { file: this.file, detail: code ?? message }, { cause });
    }
  }
}

function card({ name, picture, captions }: Exclude<Outcome, { error: ShowtellError }>): string {
  const [best, ...others] = captions.map(
    ({ caption, logProbability }) =>
      `<span>${escape(caption)}</span> <span class="p">${probability(logProbability)}</span>`,
  );
  const data = picture.thumbnail === null ? '' : Buffer.from(picture.thumbnail).toString('base64');
  const alt = escape(captions[0]?.caption ?? '');
  const list = others.length === 0 ? '' : `<ol>${others.map((line) => `<li>${line}</li>`).join('')}</ol>`;
  return `<figure><img loading="lazy" alt="${alt}" src="data:image/jpeg;base64,${data}"><figcaption><div class="best">${best ?? ''}</div>${list}<div class="name">${escape(name)} · ${picture.width} × ${picture.height}</div></figcaption></figure>\n`;
}

function failedCard({ error }: { readonly error: ShowtellError }): string {
  return `<figure class="bad"><figcaption><div class="name">${escape(error.message)}</div></figcaption></figure>\n`;
}

function escape(text: string): string {
  const named: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => named[character] ?? character);
}
