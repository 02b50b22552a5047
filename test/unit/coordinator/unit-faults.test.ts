import { beforeEach, describe, expect, it } from 'vitest';
import type { ShowtellError } from '@showtell/shared/errors.js';
import { UnitFaults, type Fault } from '@showtell/coordinator/unit-faults.js';

const accused = () => ({ unit: 'unit 1 of step 7', records: 'train-0@12' });
let faults: UnitFaults;
beforeEach(() => void (faults = new UnitFaults()));

type Ended = ShowtellError<'unit/poison' | 'unit/out-of-memory'> | null;

function fail(worker: string, workers: number, more: Partial<Fault> = {}): Ended {
  faults.failed({ worker, detail: 'it fails', ...more });
  return faults.verdict(workers, accused) as Ended;
}

function refuse(worker: string, workers: number): Ended {
  faults.refused({ worker, detail: 'not finite' });
  return faults.verdict(workers, accused) as Ended;
}

describe('failures of a unit', () => {
  it('end the run after three workers', () => {
    expect(fail('a', 5)).toBeNull();
    expect(fail('b', 5)).toBeNull();
    expect(fail('c', 5)).toMatchObject({
      code: 'unit/poison',
      facts: {
        unit: 'unit 1 of step 7',
        records: 'train-0@12',
        failures: ['a: it fails', 'b: it fails', 'c: it fails'],
      },
    });
  });

  it('of one worker alone end it after three where there is no other', () => {
    expect([fail('a', 1), fail('a', 1)]).toEqual([null, null]);
    expect(fail('a', 1)).toMatchObject({ code: 'unit/poison' });
  });

  it('of one worker alone never end it where there is another', () => {
    for (let i = 0; i < 10; i++) expect(fail('a', 2)).toBeNull();
    expect(fail('b', 2)).toMatchObject({ code: 'unit/poison' });
  });

  it('are kept three of each worker, however often it fails', () => {
    for (let i = 0; i < 1_000; i++) fail('a', 2);
    const ended = fail('b', 2);
    expect(ended?.facts).toMatchObject({ failures: ['a: it fails', 'a: it fails', 'a: it fails', 'b: it fails'] });
  });

  it('that the only worker died of end it after five, whose processes do not come back', () => {
    const die = (instance: string): Ended => {
      faults.lostAlone({ worker: 'a', detail: 'it died', instance });
      return faults.verdict(1, accused) as Ended;
    };
    expect(['1', '2', '3', '4'].map(die)).toEqual([null, null, null, null]);
    faults.returned('2');
    expect(die('5')).toBeNull();
    expect(die('6')).toMatchObject({ code: 'unit/poison', facts: { failures: Array(5).fill('a: it died') } });
    expect(faults.mayReturn).toBe(true);
  });

  const code = 'engine/out-of-memory';

  it('are told as memory that ran out where each was that', () => {
    fail('a', 1, { code });
    fail('a', 1, { code });
    expect(fail('a', 1, { code })).toMatchObject({ code: 'unit/out-of-memory' });
  });

  it('are told as a fault of the unit where one was something else', () => {
    for (let i = 0; i < 3; i++) fail('a', 2, { code });
    expect(fail('b', 2)).toMatchObject({ code: 'unit/poison' });
  });

  it('count no more whose process came back', () => {
    fail('a', 3, { instance: '1' });
    fail('b', 3, { instance: '2' });
    fail('c', 3);
    expect([faults.mayReturn, faults.verdict(3, accused)?.code]).toEqual([true, 'unit/poison']);
    faults.returned('1');
    expect([faults.mayReturn, faults.verdict(3, accused)]).toEqual([true, null]);
    faults.returned('2');
    expect([faults.mayReturn, fail('c', 1), fail('c', 1)?.code]).toEqual([false, null, 'unit/poison']);
  });
});

describe('refused results of a unit', () => {
  it('end the run when three workers had the same', () => {
    for (let i = 0; i < 10; i++) expect(refuse('a', 3)).toBeNull();
    expect(refuse('b', 3)).toBeNull();
    expect(refuse('c', 3)).toMatchObject({
      code: 'unit/poison',
      facts: { failures: ['a: not finite', 'a: not finite', 'a: not finite', 'b: not finite', 'c: not finite'] },
    });
  });

  it('of the only worker end it the third time', () => {
    expect([refuse('a', 1), refuse('a', 1)]).toEqual([null, null]);
    expect(refuse('a', 1)).toMatchObject({ code: 'unit/poison' });
  });
});
