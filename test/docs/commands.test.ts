import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsOn, documentedPages } from '../support/documented-commands.js';
import { LocalCluster } from '../support/local-run.js';
import { haveTensorflow } from '../support/tensorflow.js';
import { byHand, elsewhere } from './elsewhere.js';
import { cleaningUp, inCluster } from './in-cluster.js';
import { joins, Reader } from './reader.js';
import { stepsOf, type Step } from './steps.js';

const minutes = 60_000;
const reader = await Reader.in(LocalCluster.open());
const steps = stepsOf(reader);
afterAll(() => reader.stopOthers());

/** `npx` runs what an installation has: with or without, it is the same command. */
const withoutNpx = (command: string): string => command.replace(/^npx /, '');

describe('the documentation’s commands', () => {
  const written = documentedPages.flatMap((page) => commandsOn(page).map((command) => ({ page, command })));
  const run = [...steps.map(({ command }) => command), ...inCluster, ...cleaningUp, joins];
  const listed = [...run, ...Object.keys(elsewhere), ...Object.keys(byHand)].map(withoutNpx);

  it('are each run here, or listed with the test that runs them', () => {
    expect(written.length).toBeGreaterThan(80);
    expect(written.filter(({ command }) => !listed.includes(withoutNpx(command)))).toEqual([]);
  });

  it('are not listed when no page has them any more', () => {
    const there = written.map(({ command }) => withoutNpx(command));
    expect(listed.filter((command) => !there.includes(command))).toEqual([]);
  });

  it.each(Object.entries(elsewhere))('%s is run where the list says', (_, [file, does]) => {
    expect(readFileSync(file, 'utf8')).toContain(does);
    // A word stands in many a file.
    expect(does.match(/\w+/gu)?.length).toBeGreaterThan(1);
  });

  it('are those that no test runs by the word of docs/README.md too', () => {
    const told = readFileSync('docs/README.md', 'utf8');
    for (const command of Object.keys(byHand)) {
      const program = /(?:^|\s)(kubectl port-forward|npm run bench|grafana server|docker)\b/u.exec(command)?.[1];
      expect(told, command).toContain(`\`${program ?? command}\``);
    }
  });
});

describe.skipIf(!haveTensorflow)('a reader who types them (needs the engine: showtell engine setup)', () => {
  beforeAll(() => reader.prepare(), 5 * minutes);

  it.each(steps)(
    '$command',
    async (step) => {
      await step.before?.();
      const line = [replaced(step), ...(step.more ?? []).map((word) => `'${word}'`)].join(' ');
      const says = step.says ?? /^/;
      const hasBegun = step.until ?? ((output: string): boolean => says.test(output));
      const { code, output } = await (step.stays === true ? reader.starts(line, hasBegun) : reader.types(line));
      expect(step.codes ?? [0], output).toContain(code);
      expect(output).toMatch(says);
    },
    10 * minutes,
  );
});

function replaced({ command, with: parts = {} }: Step): string {
  return Object.entries(parts).reduce((line, [part, value]) => line.replaceAll(part, value()), command);
}
