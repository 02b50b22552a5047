#!/usr/bin/env node
// Prints docs/metrics.md and docs/errors.md from the tables in the code; `--check` fails instead where they are stale.
// Needs a build: node tools/docs.mjs [--check]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { coordinatorSeries } from '@showtell/coordinator/metrics.js';
import { errorTable } from '@showtell/shared/errors.js';
import { workerSeries } from '@showtell/worker/metrics.js';
import { format, resolveConfig } from 'prettier';

const root = new URL('..', import.meta.url);
const generated = '<!-- Printed by tools/docs.mjs: edit the table in the code, not this page. -->';

const cell = (text) =>
  String(text).replaceAll('|', '\\|').replaceAll('\n', '<br>').replaceAll('<', '&lt;').replaceAll('&lt;br>', '<br>');

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function seriesTable(series) {
  return table(
    ['series', 'type', 'unit', 'labels', 'what it tells'],
    Object.values(series).map(({ name, type, unit, labels, help }) => [
      `\`${name}\``,
      type,
      unit || '–',
      Object.entries(labels)
        .map(([label, values]) => `\`${label}\`: ${cell(values)}`)
        .join('<br>') || '–',
      cell(help),
    ]),
  );
}

function metricsPage() {
  return `# Metrics

${generated}

Every role serves its series at \`/metrics\`, as Prometheus reads them, and answers \`/healthz\` (200 while it lives) and
\`/readyz\` (200 when it can take work, otherwise 503 and the reason). Beside the series below, each process gives
prom-client's own: \`process_*\` (memory, processor time, open files) and \`nodejs_*\` (event loop, heap, garbage).

## Coordinator

The parameter server in the coordinator's process included. Source: \`packages/coordinator/src/metrics.ts\`.

${seriesTable(coordinatorSeries)}

## Worker

Source: \`packages/worker/src/metrics.ts\`.

${seriesTable(workerSeries)}
`;
}

/** Facts that stand for themselves: whatever a message asks of them, it gets the fact's name in brackets. */
function placeholder(path) {
  const self = () => placeholder(path);
  return new Proxy(self, {
    get(_target, key) {
      if (key === Symbol.toPrimitive || key === 'toString') return () => `<${path}>`;
      if (key === Symbol.iterator) return [][Symbol.iterator].bind([placeholder(path)]);
      if (key === 'length') return 2;
      if (key === 'join') return () => `<${path}>`;
      if (key === 'map') return (each) => [each(placeholder(path))];
      return typeof key === 'string' && path === '' ? placeholder(key) : placeholder(path);
    },
  });
}

function errorsPage() {
  const rows = Object.entries(errorTable).map(([code, { exit, text, remedy }]) => [
    `\`${code}\``,
    String(exit),
    cell(text(placeholder(''))),
    cell(remedy(placeholder(''))),
  ]);
  return `# Errors

${generated}

What showtell says when something fails on purpose, with the exit code of a command that ends by it. Codes follow
sysexits(3) where it has a fitting one: 64 usage, 65 data, 66 input missing, 69 service unavailable, 70 internal,
73 cannot create, 74 input/output, 75 try again, 78 configuration. showtell's own: 10 guard unmet, 11 stopped by a
person and resumable. With \`--json\` an error has its \`code\` from this table.

${table(['code', 'exit', 'says', 'what to do'], rows)}
`;
}

const check = process.argv.includes('--check');
let stale = 0;
mkdirSync(new URL('docs/', root), { recursive: true });
for (const [name, text] of [
  ['docs/metrics.md', metricsPage()],
  ['docs/errors.md', errorsPage()],
]) {
  const file = new URL(name, root);
  const page = await format(text, { ...(await resolveConfig(file)), filepath: file.pathname });
  if (!check) writeFileSync(file, page);
  else if (read(file) !== page) {
    stale++;
    process.stderr.write(`${name} is stale: run "node tools/docs.mjs"\n`);
  }
}
process.exitCode = stale > 0 ? 1 : 0;

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
