import { expect, it } from 'vitest';
import { lineProgress } from '@showtell/shared/set-up/progress.js';

function sink(isTTY: boolean) {
  const written: string[] = [];
  return { written, stream: { isTTY, columns: 60, write: (text: string) => written.push(text) } };
}

it('writes a log one line a quarter', () => {
  const { written, stream } = sink(false);
  const progress = lineProgress(stream);
  progress.step('fetching x.whl');
  for (let done = 0; done <= 200e6; done += 1e6) progress.bytes(done, 200e6);
  progress.end();
  expect(written).toEqual([
    'showtell: fetching x.whl\n',
    'showtell: fetching x.whl: 25 %, 50 of 200 MB\n',
    'showtell: fetching x.whl: 50 %, 100 of 200 MB\n',
    'showtell: fetching x.whl: 75 %, 150 of 200 MB\n',
    'showtell: fetching x.whl: 100 %, 200 of 200 MB\n',
  ]);
});

it('draws one line on a terminal, at most four times a second, no wider than it, and closes it', () => {
  const { written, stream } = sink(true);
  let clock = 1_000;
  const progress = lineProgress(stream, () => clock);
  progress.step('fetching');
  for (let done = 0; done <= 100e6; done += 1e6, clock += 10) progress.bytes(done, 100e6);
  progress.step('unpacking');
  const lines = written.filter((text) => text.startsWith('\r'));
  expect(lines.length).toBeGreaterThan(3);
  expect(lines.length).toBeLessThanOrEqual(6);
  for (const line of lines) expect(line.replace(/\r|\u001b\[K/g, '').length).toBeLessThan(60);
  expect(lines.at(-1)).toContain('100 %');
  expect(written.slice(-2)).toEqual(['\n', 'showtell: unpacking\n']);
});
