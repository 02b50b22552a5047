// Fuzzes what is parsed, guided by coverage: npm run fuzz -- [--runs N] [--seconds N] [--target NAME]… [--jobs N]
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { corpusFolder } from './corpus.js';
import { targetNamed, targetNames } from './targets.js';

/** Targets that run without a promise: jazzer.js calls those three times as fast. */
const asynchronous = new Set([
  'tfrecord',
  'picture-decode',
  'push-gradient',
  'unit-message',
  'serve-http',
  'page-http',
]);

interface Outcome {
  readonly target: string;
  readonly runs: number;
  readonly seconds: number;
  /** What went wrong, in a line, and the file with the input. */
  readonly finding: string | null;
}

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    seconds: { type: 'string', default: '0' },
    target: { type: 'string', multiple: true, default: [] },
    jobs: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
  },
});
const unknown = values.target.find((name) => !targetNames.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`There is no target ${unknown}; there are ${targetNames.join(', ')}.\n`);
  process.exit(64);
}
if (values.list)
  for (const name of targetNames) process.stdout.write(`${name.padEnd(22)}${(await targetNamed(name)).what}\n`);
else process.exitCode = await fuzzAll(values.target.length === 0 ? targetNames : values.target);

async function fuzzAll(chosen: readonly string[]): Promise<number> {
  const waiting = [...chosen];
  let findings = 0;
  const one = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const { runs, seconds, finding } = await fuzzOne(name);
      const rate = Math.round(runs / Math.max(1, seconds));
      process.stdout.write(
        `${name.padEnd(22)}${runs} runs in ${seconds} s, ${rate} a second: ${finding ?? 'nothing found'}\n`,
      );
      if (finding !== null) findings++;
    }
  };
  await Promise.all(Array.from({ length: Number(values.jobs) }, one));
  return findings === 0 ? 0 : 1;
}

/** A process for each: the fuzzer ends its own at the first finding. */
async function fuzzOne(target: string): Promise<Outcome> {
  const own = fileURLToPath(new URL('.', import.meta.url));
  const { mostBytes = 16_384 } = await targetNamed(target);
  const artifacts = join(own, 'findings');
  mkdirSync(artifacts, { recursive: true });
  const grown = mkdtempSync(join(tmpdir(), `showtell-fuzz-${target}-`));
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', join(own, 'jazzer.mjs')],
      ...(asynchronous.has(target) ? [] : ['--sync']),
      ...[grown, corpusFolder(target)],
      ...[`-runs=${values.runs}`, `-max_total_time=${values.seconds}`, `-artifact_prefix=${artifacts}/${target}-`],
      ...['-rss_limit_mb=2048', `-max_len=${mostBytes}`, '-print_final_stats=1'],
    ],
    { env: { ...process.env, SHOWTELL_FUZZ_TARGET: target }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let runs = 0;
  let finding: string | null = null;
  const last: string[] = [];
  const look = (line: string): void => {
    last.push(line);
    if (last.length > 30) last.shift();
    runs = Math.max(runs, Number(/^#(\d+)\s|number_of_executed_units: (\d+)/.exec(line)?.slice(1).find(Boolean) ?? 0));
    finding ??= /^(?:==\d+== )?(?:ERROR: libFuzzer: .*|ERROR: .*|(?:Uncaught )?\w*Error: .*)/.exec(line)?.[0] ?? null;
    if (line.includes('Test unit written to')) finding = `${finding ?? 'a finding'} (${line.split(' ').at(-1) ?? ''})`;
  };
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', look);
  const code = await new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? 1)));
  rmSync(grown, { recursive: true, force: true });
  if (code === 0) finding = null;
  else {
    finding ??= `it ended with ${code}`;
    process.stderr.write(`${last.join('\n')}\n`);
  }
  return { target, runs, seconds: Math.round((performance.now() - began) / 1000), finding };
}
