import { describe, expect, it } from 'vitest';
import { UnitFaults } from '@showtell/coordinator/unit-faults.js';

const accused = () => ({ unit: 'unit 1 of step 7', records: 'train-0@12' });
const fail = (faults: UnitFaults, worker: string, workers: number, code = '') =>
  faults.failed({ worker, detail: 'it fails' }, code, workers, accused);

describe('failures of a unit', () => {
  it('end the run after three workers', () => {
    const faults = new UnitFaults();
    expect(fail(faults, 'a', 5)).toBeNull();
    expect(fail(faults, 'b', 5)).toBeNull();
    expect(fail(faults, 'c', 5)).toMatchObject({
      code: 'unit/poison',
      facts: {
        unit: 'unit 1 of step 7',
        records: 'train-0@12',
        failures: ['a: it fails', 'b: it fails', 'c: it fails'],
      },
    });
  });

  it('of one worker alone end it after three only where there is no other', () => {
    const alone = new UnitFaults();
    expect([fail(alone, 'a', 1), fail(alone, 'a', 1)]).toEqual([null, null]);
    expect(fail(alone, 'a', 1)).toMatchObject({ code: 'unit/poison' });

    const beside = new UnitFaults();
    for (let i = 0; i < 10; i++) expect(fail(beside, 'a', 2)).toBeNull();
    expect(fail(beside, 'b', 2)).toMatchObject({ code: 'unit/poison' });
  });

  it('are kept three of each worker, however often it fails', () => {
    const faults = new UnitFaults();
    for (let i = 0; i < 1_000; i++) fail(faults, 'a', 2);
    const ended = fail(faults, 'b', 2);
    expect(ended?.facts).toMatchObject({ failures: ['a: it fails', 'a: it fails', 'a: it fails', 'b: it fails'] });
  });

  it('are told as memory that ran out only where each was that', () => {
    const faults = new UnitFaults();
    const code = 'engine/out-of-memory';
    fail(faults, 'a', 1, code);
    fail(faults, 'a', 1, code);
    expect(fail(faults, 'a', 1, code)).toMatchObject({ code: 'unit/out-of-memory' });

    const mixed = new UnitFaults();
    fail(mixed, 'a', 2, code);
    fail(mixed, 'a', 2, code);
    fail(mixed, 'a', 2, code);
    expect(fail(mixed, 'b', 2)).toMatchObject({ code: 'unit/poison' });
  });
});

describe('refused results of a unit', () => {
  const refuse = (faults: UnitFaults, worker: string, workers: number) =>
    faults.refused({ worker, detail: 'not finite' }, workers, accused);

  it('end the run when a second worker had the same', () => {
    const faults = new UnitFaults();
    for (let i = 0; i < 10; i++) expect(refuse(faults, 'a', 2)).toBeNull();
    expect(refuse(faults, 'b', 2)).toMatchObject({
      code: 'unit/poison',
      facts: { failures: ['a: not finite', 'a: not finite', 'b: not finite'] },
    });
  });

  it('of the only worker end it the second time', () => {
    const faults = new UnitFaults();
    expect(refuse(faults, 'a', 1)).toBeNull();
    expect(refuse(faults, 'a', 1)).toMatchObject({ code: 'unit/poison' });
  });
});
