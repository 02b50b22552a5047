#!/usr/bin/env node
// Makes the README's pictures from a finished run: docs/images/demo.svg, what the terminal showed three quarters through
// and at the end; by chromium docs/images/report.png, the top of its report, and docs/images/page.png, that of its page.
// Needs a build:
//   node tools/pictures.mjs runs/demo [CHROMIUM]
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createProgress } from '@showtell/coordinator/cli/progress.js';
import { renderSummary } from '@showtell/coordinator/evaluation/report-summary.js';
import { writeReport } from '@showtell/coordinator/evaluation/report.js';
import { reportOf } from '@showtell/coordinator/evaluation/run-report.js';
import { MountedDashboard } from '@showtell/coordinator/dashboard/mount.js';
import { nowOfFolder } from '@showtell/coordinator/dashboard/run-now.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { openDataset } from '@showtell/shared/data/dataset.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { chromium as browsers } from 'playwright-core';
import { Registry } from 'prom-client';
import sharp from 'sharp';

process.env.FORCE_COLOR = '1';
const columns = 100;
const [run = 'runs/demo', chromium = 'chromium'] = process.argv.slice(2);
const images = fileURLToPath(new URL('../docs/images', import.meta.url));
mkdirSync(images, { recursive: true });

const folder = new RunFolder(run);
const dataset = await openDataset(folder.job().data.directory);
const data = await reportOf(folder, 'runs/demo', dataset);

const lines = [
  '\x1b[32m$\x1b[0m npm run demo',
  ...during(0.75),
  '\x1b[2m…\x1b[0m',
  ...renderSummary(data, { color: true, width: columns }).split('\n').slice(0, 20),
];
writeFileSync(join(images, 'demo.svg'), toSvg(lines));
await pictureReport();
await picturePage();

/** The progress block at a share of the run's steps, drawn by the program's own renderer from what the run noted. */
function during(share) {
  const read = (name) =>
    readFileSync(folder.at(name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const all = read('steps.jsonl');
  const evaluations = read('journal.jsonl')
    .map(({ entry }) => entry)
    .filter(({ type }) => type === 'evaluation');
  const steps = all.slice(0, Math.round(all.length * share));
  const { decoderOnly } = folder.job().phases;
  let text = '';
  const progress = createProgress({ write: (piece) => (text += piece), isTTY: true, columns });
  for (const [i, { step, phase, loss }] of steps.entries()) {
    const recent = steps.slice(Math.max(0, i - 19), i + 1);
    const seconds = recent.reduce((sum, one) => sum + one.seconds, 0);
    const examples = recent.flatMap(({ units }) => units).reduce((sum, unit) => sum + unit.examples, 0);
    const scored = evaluations.findLast((evaluation) => evaluation.step <= step);
    const captions = scored?.scores.captions ?? null;
    progress.update({
      step: step + 1,
      totalSteps: all.length,
      switchStep: decoderOnly.steps,
      phase,
      loss,
      imagesPerSecond: examples / seconds,
      workers: new Set(recent.flatMap(({ units }) => units.map(({ worker }) => worker))).size,
      bleu4: captions?.bleu[3] ?? null,
      perplexity: scored?.scores.perplexity ?? null,
      colorAccuracy: captions?.colorAccuracy ?? null,
      evaluatedAt: scored?.step ?? null,
      eta: ((all.length - step - 1) * seconds) / recent.length,
    });
  }
  progress.done();
  const frame = text.slice(text.lastIndexOf('\x1b[?2026h')).replace(/\x1b\[(?:\?\d+[hl]|\d*[AJK])|\r/g, '');
  return frame.trimEnd().split('\n');
}

function toSvg(rows) {
  const [cell, row, edge] = [8.4, 19, 16];
  const palette = {
    31: '#ff7b72',
    32: '#7ee787',
    33: '#e3b341',
    34: '#79c0ff',
    35: '#d2a8ff',
    36: '#76e3ea',
    90: '#8b949e',
  };
  const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const body = rows.map((line, y) => {
    let style = {};
    let x = 0;
    const spans = line.split(/(\x1b\[[\d;]*m)/).map((piece) => {
      const codes = /^\x1b\[([\d;]*)m$/.exec(piece)?.[1];
      if (codes === undefined) {
        const [at, length] = [x, [...piece].length];
        x += length;
        if (piece.trim() === '') return '';
        const attributes = Object.entries(style).map(([name, value]) => ` ${name}="${value}"`);
        const place = ` x="${(edge + at * cell).toFixed(1)}" textLength="${(length * cell).toFixed(1)}"`;
        return `<tspan${place}${attributes.join('')}>${escape(piece)}</tspan>`;
      }
      for (const code of codes.split(';').map(Number)) {
        if (code === 0) style = {};
        else if (code === 1) style = { ...style, 'font-weight': 'bold' };
        else if (code === 2) style = { ...style, opacity: '0.6' };
        else if (code === 22) style = { fill: style.fill ?? '#d6deeb' };
        else if (code === 39) style = { ...style, fill: '#d6deeb' };
        else if (palette[code] !== undefined) style = { ...style, fill: palette[code] };
      }
      return '';
    });
    return `<text y="${edge + 14 + y * row}" xml:space="preserve">${spans.join('')}</text>`;
  });
  const [width, height] = [columns * cell + 2 * edge, rows.length * row + 2 * edge];
  const font = `font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14" fill="#d6deeb"`;
  const ground = `<rect width="${width}" height="${height}" rx="8" fill="#161b22"/>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${font}>\n${ground}\n${body.join('\n')}\n</svg>\n`;
}

async function picturePage() {
  const shown = { id: 'demo', folder, now: nowOfFolder(folder), commands: null };
  const mounted = new MountedDashboard({ runs: [shown], host: '127.0.0.1', token: null });
  const listen = { port: 0, registry: new Registry(), ready: () => true, what: 'the page', setting: '--port' };
  const server = await serveHttp({ ...listen, handle: mounted.handle });
  const executablePath = chromium.includes('/') ? chromium : `/usr/bin/${chromium}`;
  const browser = await browsers.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 1800 } });
    await page.goto(server.url);
    await page.waitForSelector('body[data-ready]');
    await page.locator('.said.best .word').first().waitFor();
    await page.waitForTimeout(1_500);
    const shot = await page.screenshot();
    await sharp(shot).resize({ width: 900 }).png({ palette: true, effort: 10 }).toFile(join(images, 'page.png'));
  } finally {
    await browser.close();
    await mounted[Symbol.asyncDispose]();
    await server.close();
  }
}

async function pictureReport() {
  const beside = mkdtempSync(join(tmpdir(), 'showtell-pictures-'));
  try {
    const [page, shot] = [join(beside, 'report.html'), join(beside, 'report.png')];
    await writeReport(page, data);
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--window-size=1200,1500'];
    execFileSync(chromium, [...flags, `--screenshot=${shot}`, pathToFileURL(page).href], { stdio: 'ignore' });
    await sharp(shot).resize({ width: 900 }).png({ palette: true, effort: 10 }).toFile(join(images, 'report.png'));
  } finally {
    rmSync(beside, { recursive: true });
  }
}
