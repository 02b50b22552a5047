import { createProgress, type ProgressRecord } from '@showtell/coordinator/cli/progress.js';
import { plainLine, progressLines } from '@showtell/coordinator/cli/progress-lines.js';
import { duration } from '@showtell/coordinator/duration.js';
import fc from 'fast-check';
import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';

const record: ProgressRecord = {
  step: 450,
  totalSteps: 1500,
  switchStep: 300,
  phase: 'joint',
  loss: 1.2345,
  imagesPerSecond: 412.4,
  workers: 2,
  bleu4: 0.3123,
  perplexity: 4.2,
  colorAccuracy: 0.875,
  evaluatedAt: 300,
  eta: 187,
};

function fakeStream(tty: { columns: number } | null): { text: string; stream: Parameters<typeof createProgress>[0] } {
  const sink = {
    text: '',
    stream: {
      write: (text: string | Uint8Array) => ((sink.text += String(text)), true),
      ...(tty === null ? {} : { isTTY: true as const, ...tty }),
    },
  };
  return sink;
}

/** What a terminal of some width shows after `output`: understands what the block uses, and throws at anything else. */
function screen(output: string, columns: number): string[] {
  const rows: (string | undefined)[][] = [[]];
  let row = 0;
  let column = 0;

  for (const [piece, sequence] of output.matchAll(/\x1b\[([?\d;]*[A-Za-z])|[^\x1b]/gsu)) {
    if (sequence === undefined) {
      if (piece === '\n') [row, column] = [row + 1, 0];
      else if (piece === '\r') column = 0;
      else {
        if (column === columns) [row, column] = [row + 1, 0];
        (rows[row] ??= [])[column++] = piece;
      }
    } else if (sequence.endsWith('A')) row -= Number(sequence.slice(0, -1));
    else if (sequence === 'K') rows[row]?.splice(column);
    else if (sequence === 'J') {
      rows[row]?.splice(column);
      rows.splice(row + 1);
    } else if (!/^(?:\?\d+[hl]|[\d;]*m)$/u.test(sequence)) throw new Error(`unknown sequence ${sequence}`);
    if (row < 0) throw new Error('drew above its own block');
    rows[row] ??= [];
  }
  return rows.map((cells) =>
    Array.from(cells, (cell) => cell ?? ' ')
      .join('')
      .trimEnd(),
  );
}

describe('progress on a terminal', () => {
  it.each([30, 48, 80, 200])('keeps one block of three lines in place at %i columns, notes above it', (columns) => {
    const shown = fakeStream({ columns });
    const live = createProgress(shown.stream, { env: {} });
    live.update(record);
    live.note('first note');
    live.update({ ...record, step: 460 });
    live.note('second note');
    live.done();
    const lines = screen(shown.text, columns);
    expect(lines.slice(0, 2)).toEqual(['first note', 'second note']);
    expect(lines).toHaveLength(6);
    expect(lines[2]).toMatch(/^joint/u);
    expect(lines[2]).toContain('460/1500');
    expect(lines[3]).toMatch(/^loss 1\.2/u);
    expect(lines[4]).toMatch(/^BLEU-4 0\.312/u);
    expect(lines[5]).toBe('');
  });

  it('hides the cursor while it draws and gives it back, once', () => {
    const shown = fakeStream({ columns: 80 });
    const before = process.listenerCount('exit');
    const progress = createProgress(shown.stream, { env: {} });
    progress.update(record);
    expect(process.listenerCount('exit')).toBe(before + 1);
    progress.done();
    progress.done();
    expect(shown.text.startsWith('\x1b[?25l')).toBe(true);
    expect(shown.text.split('\x1b[?25h')).toHaveLength(2);
    expect(shown.text.endsWith('\x1b[?25h')).toBe(true);
    expect(process.listenerCount('exit')).toBe(before);
  });

  it('colours, unless NO_COLOR is set', () => {
    const draw = (env: Record<string, string>): string => {
      const shown = fakeStream({ columns: 80 });
      const progress = createProgress(shown.stream, { env });
      progress.update(record);
      progress.done();
      return shown.text;
    };
    expect(draw({})).toContain('\x1b[35m');

    expect(draw({ NO_COLOR: '1' })).not.toMatch(/\x1b\[\d+m/u);
    expect(draw({ FORCE_COLOR: '0' })).not.toContain('\x1b[35m');
  });

  it('never draws a line wider than the terminal', () => {
    const maybe = (arbitrary: fc.Arbitrary<number>): fc.Arbitrary<number | null> => fc.option(arbitrary);
    const anyRecord = fc.record({
      step: fc.nat(3_000_000),
      totalSteps: fc.integer({ min: 1, max: 3_000_000 }),
      switchStep: maybe(fc.nat(3_000_000)),
      phase: fc.constantFrom('decoder-only' as const, 'joint' as const),
      loss: maybe(fc.double()),
      imagesPerSecond: maybe(fc.double({ min: 0, max: 1e6, noNaN: true })),
      workers: fc.nat(5000),
      bleu4: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
      perplexity: maybe(fc.double({ min: 1, max: 1e9, noNaN: true })),
      colorAccuracy: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
      evaluatedAt: maybe(fc.nat(3_000_000)),
      eta: maybe(fc.double({ min: 0, max: 1e7, noNaN: true })),
      doing: fc.option(fc.constant('evaluating')),
    });
    const style = { colors: createColors(false), unicode: true };
    fc.assert(
      fc.property(
        anyRecord,
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true })),
        fc.integer({ min: 1, max: 200 }),
        (any, losses, width) => {
          for (const { text, length } of progressLines(any, losses, { ...style, width })) {
            expect(text.length).toBeLessThanOrEqual(width);
            expect(length).toBe(text.length);
          }
        },
      ),
    );
  });
});

describe('progress elsewhere', () => {
  it('writes a plain line at the start, at news, each interval and at the end', () => {
    let clock = 0;
    const shown = fakeStream(null);
    const progress = createProgress(shown.stream, { interval: 10, now: () => clock });
    const at = (seconds: number, more: Partial<ProgressRecord>): void => {
      clock = seconds * 1000;
      progress.update({ ...record, phase: 'decoder-only', evaluatedAt: null, ...more });
    };
    at(0, { step: 1 });
    at(5, { step: 2 });
    at(10, { step: 3 });
    at(11, { step: 4, phase: 'joint' });
    at(12, { step: 5, phase: 'joint', evaluatedAt: 5 });
    at(13, { step: 6, phase: 'joint', evaluatedAt: 5 });
    progress.note('a note');
    progress.done();
    progress.done();
    const lines = shown.text.trimEnd().split('\n');
    expect(lines.map((line) => line.split(' ')[1])).toEqual(['1/1500', '3/1500', '4/1500', '5/1500', 'note', '6/1500']);
    expect(shown.text).not.toContain('\x1b');
  });

  it('says everything that is known in one line', () => {
    expect(plainLine(record)).toBe(
      'step 450/1500 (30 %) joint: loss 1.234, 412 images/s, 2 workers, BLEU-4 0.312, perplexity 4.200, colours 87 %, 3:07 left',
    );
    expect(
      plainLine({
        ...record,
        loss: null,
        imagesPerSecond: null,
        bleu4: null,
        perplexity: null,
        colorAccuracy: null,
        eta: null,
        workers: 1,
      }),
    ).toBe('step 450/1500 (30 %) joint: 1 worker');
  });

  it.each([
    [0, '0s'],
    [59.4, '59s'],
    [59.6, '1:00'],
    [3599, '59:59'],
    [7500, '2h 05m'],
    [273_600, '3d 04h'],
  ])('writes %d s as %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
});
