import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { finishOf, Journal, type JournalEntry } from '@showtell/coordinator/journal.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const entries: readonly JournalEntry[] = [
  { type: 'generation', generation: 1, fromStep: null },
  { type: 'canary', graph: 'decoder-only B8 T16', sha256: 'ab'.repeat(32) },
  { type: 'switch', step: 3, lineage: 1, reason: 'größer – “done”' },
];

const always = (): void => undefined;

function written(): string {
  const file = join(temporaryFolder(), 'journal.jsonl');
  using journal = Journal.open(file, always);
  for (const entry of entries) journal.append(entry);
  return file;
}

describe('Journal', () => {
  it('reads back what was appended, by whoever opens it', () => {
    const file = written();
    expect(Journal.read(file)).toEqual(entries);
    using journal = Journal.open(file, always);
    expect(journal.entries).toEqual(entries);
    expect(journal.of('switch')).toEqual([entries[2]]);
    journal.append({ type: 'command', command: 'stop', step: 4 });
    expect(Journal.read(file)).toHaveLength(4);
  });

  it('is empty where there is no file', () => {
    expect(Journal.read(join(temporaryFolder(), 'journal.jsonl'))).toEqual([]);
  });

  it.each([
    ['without its end', '{"crc":1,"at":"2026'],
    ['with an end', '{"crc":1,"at":"2026\n'],
  ])('cuts off a torn last line %s, and goes on after it', (_, torn) => {
    const file = written();
    const { size } = statSync(file);
    appendFileSync(file, torn);
    expect(Journal.read(file)).toEqual(entries);
    expect(statSync(file).size).toBe(size + torn.length);
    using journal = Journal.open(file, always);
    expect(statSync(file).size).toBe(size);
    journal.append({ type: 'command', command: 'pause', step: 4 });
    expect(Journal.read(file)).toHaveLength(4);
  });

  it('cuts off a whole entry whose line has no end: its writing was not over', () => {
    const file = written();
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
    expect(Journal.read(file)).toEqual(entries.slice(0, 2));
  });

  it('refuses a journal with a damaged line before the last, and names it', () => {
    const file = written();
    writeFileSync(file, readFileSync(file, 'utf8').replace('decoder-only B8', 'decoder-only B9'));
    const damaged = expect.objectContaining({ code: 'journal/damaged', facts: { file, line: 2 } }) as Error;
    expect(() => Journal.open(file, always)).toThrow(damaged);
    expect(() => Journal.read(file)).toThrow(damaged);
  });

  it('writes nothing once another coordinator has taken over', () => {
    const file = written();
    let superseded = false;
    using journal = Journal.open(file, () => {
      if (superseded) throw new Error('superseded');
    });
    superseded = true;
    expect(() => journal.append({ type: 'command', command: 'stop', step: 1 })).toThrow('superseded');
    expect(journal.entries).toHaveLength(3);
    expect(Journal.read(file)).toHaveLength(3);
  });

  it('cuts nothing off a journal that another coordinator writes', () => {
    const file = written();
    appendFileSync(file, '{"crc":1');
    const { size } = statSync(file);
    expect(() =>
      Journal.open(file, () => {
        throw new Error('superseded');
      }),
    ).toThrow('superseded');
    expect(statSync(file).size).toBe(size);
  });

  it('writes nothing after it was closed, when its descriptor may be another file’s', () => {
    const file = written();
    const journal = Journal.open(file, always);
    journal[Symbol.dispose]();
    journal[Symbol.dispose]();
    expect(() => journal.append({ type: 'command', command: 'stop', step: 1 })).toThrow('closed');
  });
});

describe('finishOf', () => {
  const finished = { type: 'finished', step: 9, phase: 'joint', outcome: 'complete', reason: '' } as const;

  it('is the last end, unless somebody has gone on since', () => {
    const again = { type: 'generation', generation: 2, fromStep: 9 } as const;
    expect(finishOf(entries)).toBeNull();
    expect(finishOf([...entries, finished])).toBe(finished);
    expect(finishOf([...entries, finished, { type: 'command', command: 'stop', step: 9 }])).toBe(finished);
    expect(finishOf([...entries, finished, again])).toBeNull();
    expect(finishOf([...entries, finished, again, finished])).toBe(finished);
  });
});
