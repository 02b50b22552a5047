import { describe, expect, it } from 'vitest';
import { faultKinds, faultRules } from './fault-kinds.js';
import { stepsOf } from './lab-job.js';
import { chain, drawSchedule, tell, type Fault, type Schedule } from './schedule.js';
import { shrink, smaller } from './shrink.js';

const seeds = Array.from({ length: 500 }, (_, seed) => seed);

describe('a schedule', () => {
  it('is a function of its seed', () => {
    expect(drawSchedule(41)).toEqual(drawSchedule(41));
    expect(drawSchedule(41)).not.toEqual(drawSchedule(42));
  });

  it('keeps each kind within its rule, in the order of steps that the run comes to', () => {
    for (const { faults, joint, cluster } of seeds.map((seed) => drawSchedule(seed))) {
      expect(faults.length).toBeGreaterThanOrEqual(2);
      expect(faults.map(({ atStep }) => atStep)).toEqual(faults.map(({ atStep }) => atStep).sort((a, b) => a - b));
      for (const { kind, target, atStep, lastsMs, amount } of faults) {
        const { targets, lasts, amount: range } = faultRules[kind];
        expect(targets).toContain(target);
        expect(atStep > 0 && atStep < stepsOf({ joint, schedules: 1, cluster })).toBe(true);
        expect(lastsMs >= lasts[0] && lastsMs <= lasts[1]).toBe(true);
        expect(amount >= range[0] && amount <= range[1]).toBe(true);
      }
    }
  });

  it('of as many seeds as there are kinds have each, by shared memory and by gRPC', () => {
    const schedules = faultKinds.map((_, i) => drawSchedule(100 + i));
    expect(new Set(schedules.flatMap(({ faults }) => faults.map(({ kind }) => kind)))).toEqual(new Set(faultKinds));
    expect(new Set(schedules.map(({ sharedMemory }) => sharedMemory)).size).toBe(2);
  });

  it('never kills so many workers or spoils so many results that the run rightly gives a unit up', () => {
    for (const { faults } of seeds.map((seed) => drawSchedule(seed))) {
      const dying = faults.filter(({ kind }) =>
        ['kill', 'memory-limit', 'cut', 'half-open', 'nan-gradient'].includes(kind),
      );
      expect(dying.length).toBeLessThanOrEqual(2);
      expect(faults.filter(({ kind }) => kind === 'nan-gradient').length).toBeLessThanOrEqual(1);
    }
  });

  it('on a machine that lacks something is the same but for the faults that need it', () => {
    for (const seed of seeds) {
      const whole = drawSchedule(seed).faults;
      const less = drawSchedule(seed, new Set(['toxiproxy'])).faults;
      expect(less).toEqual(whole.filter(({ kind }) => faultRules[kind].needs !== 'toxiproxy'));
    }
  });

  it('on two shards is the same, but that some of what may hit a process or the way to it hits a shard', () => {
    const hit = new Set<string>();
    for (const seed of seeds) {
      const whole = drawSchedule(seed).faults;
      const { faults, cluster } = drawSchedule(seed, new Set(), 'shards');
      expect(cluster).toBe('shards');
      expect(faults.map((fault, i) => ({ ...fault, target: whole[i]?.target }))).toEqual(whole);
      for (const { kind, target } of faults) if (target.startsWith('ps-')) hit.add(`${kind} ${target}`);
    }
    const ofShards = ['kill', 'slow', 'stop', 'clock-jump', 'cut', 'delay', 'throttle', 'half-open', 'flipped-bytes'];
    expect([...hit].sort()).toEqual(ofShards.flatMap((kind) => [`${kind} ps-1`, `${kind} ps-2`]).sort());
  });

  it('done to an asynchronous run has twice as many steps, and no gradients that may be due', () => {
    const kinds = seeds.flatMap((seed) => drawSchedule(seed, new Set(), 'asynchronous').faults.map(({ kind }) => kind));
    expect(kinds).toContain('kill');
    expect(kinds.filter((kind) => kind.endsWith('-gradient'))).toEqual([]);
    const length = { joint: true, schedules: 1 };
    expect(stepsOf({ ...length, cluster: 'asynchronous' })).toBe(2 * stepsOf({ ...length, cluster: 'whole' }));
  });

  it('is told a line a fault', () => {
    const schedule = drawSchedule(3);
    expect(tell(schedule).split('\n')).toHaveLength(1 + schedule.faults.length);
    expect(tell(schedule)).toContain(`exchange by ${schedule.sharedMemory ? 'shared memory' : 'gRPC'}`);
  });
});

describe('a chain', () => {
  it('has the faults of each seed in its own steps, before the last', () => {
    const schedules = [1, 2, 3, 4].map((seed) => drawSchedule(seed));
    const all = chain(schedules);
    const each = stepsOf({ joint: false, schedules: 1, cluster: 'whole' });
    expect(stepsOf(all)).toBe(4 * each);
    expect(all.faults.map(({ kind }) => kind)).toEqual(
      schedules.flatMap(({ faults }) => faults.map(({ kind }) => kind)),
    );
    expect(all.faults[0]).toEqual(schedules[0]?.faults[0]);
    expect(all.faults.at(-1)?.atStep).toBeGreaterThan(3 * each);
    expect(Math.max(...all.faults.map(({ atStep }) => atStep))).toBeLessThan(4 * each - 1);
  });

  it('of one is that one', () => {
    expect(chain([drawSchedule(5)])).toEqual(drawSchedule(5));
  });
});

describe('shrinking', () => {
  const fault = (amount: number): Fault => ({ ...(drawSchedule(1).faults[0] as Fault), amount });
  const schedule: Schedule = {
    seed: 1,
    sharedMemory: true,
    joint: true,
    schedules: 1,
    cluster: 'whole',
    faults: [1, 2, 3, 4, 5].map(fault),
  };
  const amounts = ({ faults }: Schedule): number[] => faults.map(({ amount }) => amount);

  it('leaves out one fault, a later one first', () => {
    expect(smaller(schedule).map(amounts)[0]).toEqual([1, 2, 3, 4]);
    expect(smaller(schedule)).toHaveLength(5);
  });

  it('comes to the faults that it takes', async () => {
    const needs = async (candidate: Schedule): Promise<boolean> => {
      const left = amounts(candidate);
      return left.includes(2) && left.includes(4);
    };
    expect(amounts(await shrink(schedule, needs))).toEqual([2, 4]);
  });

  it('keeps what fails only as a whole, and asks of no schedule without faults', async () => {
    const asked: number[] = [];
    const never = async ({ faults }: Schedule): Promise<boolean> => {
      asked.push(faults.length);
      return false;
    };
    expect(await shrink(schedule, never)).toBe(schedule);
    expect(await shrink({ ...schedule, faults: [fault(1)] }, never)).toMatchObject({ faults: [fault(1)] });
    expect(asked).not.toContain(0);
  });
});
