import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { Dispatcher } from '@showtell/coordinator/dispatcher.js';
import { StepTraces } from '@showtell/coordinator/step-traces.js';
import { offerKey, type Worker, type Workers } from '@showtell/coordinator/workers.js';
import { EvaluationKind, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';

const idOf = (step: number, evaluation = false): UnitId => ({
  ...{ run: 'r', generation: 1, lineage: 1, step, index: 0, attempt: 1, evaluation },
});

/** A worker in session, and what it holds, the longest held first. */
function worker(id: string, ...held: UnitId[]): Worker {
  const leases = new Map(held.map((unit, since) => [offerKey(unit), { unit, since }]));
  return { id, instance: `process of ${id}`, leases, report: null } as Partial<Worker> as Worker;
}

/** What ended the run, the attempts that were published of each unit, and what was put off by half a second. */
interface Told {
  readonly poison: string[];
  readonly published: Map<string, number[]>;
  readonly soon: (() => Promise<void>)[];
  /** What was put off until workers may have come back. */
  readonly later: (() => Promise<void>)[];
  /** Workers that do not have what they speak of. */
  readonly without: Set<string>;
  /** Units that somebody has. */
  readonly held: Set<string>;
  /** Workers that were asked by their sessions. */
  readonly asked: string[];
}

function dispatcher(isAsynchronous: boolean, list: readonly Worker[]): { made: Dispatcher; told: Told } {
  const told: Told = {
    ...{ poison: [], published: new Map(), soon: [], later: [] },
    ...{ without: new Set(), held: new Set(), asked: [] },
  };
  const nothing = async (): Promise<void> => undefined;
  const publish = async (_: unknown, { id }: { readonly id: UnitId }): Promise<void> => {
    told.published.set(offerKey(id), [...(told.published.get(offerKey(id)) ?? []), id.attempt]);
  };
  const holders = (key: string): Worker[] => (told.held.has(key) ? [worker('somebody')] : []);
  const offer = (id: string): void => void told.asked.push(id);
  const release = (id: string): boolean => !told.without.has(id);
  const made = new Dispatcher({
    ...{ run: 'r', jobSha256: 'j', generation: 1, isAsynchronous },
    plan: { units: (step) => [{ step, index: 0, records: [], seed: 0 }] },
    queue: { publish, purge: nothing },
    traces: new StepTraces(),
    workers: () =>
      ({ list, holders, release, offer, leaseOf: () => null, settled: () => undefined }) as Partial<Workers> as Workers,
    describe: () => 'records',
    onOfferedAgain: () => undefined,
    onBrokerAway: () => undefined,
    onSuspectStep: () => undefined,
    soon: (_, work) => void told.soon.push(work),
    later: (_, work) => void told.later.push(work),
    onPoison: (error) => void told.poison.push(error.message),
  });
  return { made, told };
}

const open = { until: 4, oldestVersion: () => 0 };
const captions = { kind: EvaluationKind.EVALUATION_KIND_CAPTIONS, split: 'val', records: [] };

describe('a unit that its workers die of', () => {
  it('is named though it is an evaluation’s, for which no step waits', async () => {
    const { made, told } = dispatcher(false, [worker('other')]);
    await made.restart(1, 1);
    await made.advance(1, open, 'joint');
    await made.evaluate(2, [{ $case: 'evaluation', value: captions }]);
    for (const id of ['a', 'b']) await made.workerLeft(worker(id, idOf(2, true)), true);
    expect(told.poison).toEqual([]);
    await made.workerLeft(worker('c', idOf(2, true)), true);
    expect([told.poison, told.later.length]).toEqual([[], 1]);
    await told.later[0]?.();
    expect(told.poison).toEqual([expect.stringContaining('evaluation unit 0 of step 2')]);
  });

  it('is the one held longest where each is applied as it comes, and none of those beside it', async () => {
    const { made, told } = dispatcher(true, [worker('other')]);
    await made.restart(0, 1);
    await made.advance(0, open, 'joint');
    // The current version is further on than the unit's number.
    await made.advance(2, { ...open, until: 6 }, 'joint');
    for (const id of ['a', 'b', 'c']) await made.workerLeft(worker(id, idOf(1), idOf(3)), true);
    for (const judge of told.later) await judge();
    expect(told.poison).toEqual([expect.stringContaining('unit 0 of step 1')]);
  });

  it('is not accused by a worker that left, nor by a few where all are gone', async () => {
    const { made, told } = dispatcher(false, []);
    await made.restart(0, 1);
    await made.advance(0, open, 'joint');
    for (const id of ['a', 'b', 'c', 'd']) await made.workerLeft(worker(id, idOf(0)), true);
    for (const id of ['a', 'b', 'c', 'd']) await made.workerLeft(worker(id, idOf(0)), false);
    expect([told.poison, told.later.length]).toEqual([[], 0]);
  });

  it('is named though there was never more than one, once another is there', async () => {
    const list: Worker[] = [];
    const { made, told } = dispatcher(false, list);
    await made.restart(0, 1);
    await made.advance(0, open, 'joint');
    for (const id of ['1', '2', '3', '4', '5']) await made.workerLeft({ ...worker('a', idOf(0)), instance: id }, true);
    expect(told.later).toHaveLength(1);
    await told.later[0]?.();
    expect([told.poison, told.later.length]).toEqual([[], 2]);
    list.push(worker('a'));
    await told.later[1]?.();
    expect(told.poison).toEqual([expect.stringContaining('unit 0 of step 0')]);
  });

  it('is not offered a second time while nobody is there', async () => {
    const list: Worker[] = [];
    const { made, told } = dispatcher(false, list);
    await made.restart(0, 1);
    await made.advance(0, open, 'joint');
    await made.offerMissing();
    expect(told.published.get(offerKey(idOf(0)))).toEqual([1]);
    list.push(worker('a'));
    await made.offerMissing();
    expect(told.published.get(offerKey(idOf(0)))).toEqual([1, 2]);
  });
});

describe('a unit that cannot be computed', () => {
  let made: Dispatcher;
  let told: Told;
  let list: Worker[];
  const fail = (id: string): Promise<void> => made.unitFailed(worker(id), idOf(0), 'no', 'engine/failed');

  beforeEach(async () => {
    list = ['a', 'b', 'c', 'd'].map((id) => worker(id));
    ({ made, told } = dispatcher(false, list));
    await made.restart(0, 1);
    await made.advance(0, open, 'joint');
  });

  it('is accused by three workers, not by one that fails again and again: that waits before it may have it again', async () => {
    for (let i = 0; i < 5; i++) await fail('a');
    expect([told.poison, told.soon.length]).toEqual([[], 1]);
    await fail('b');
    expect(told.poison).toEqual([]);
    await fail('c');
    expect(told.poison).toEqual([expect.stringContaining('unit 0 of step 0')]);
  });

  it('is accused by as many workers as there are', async () => {
    list.length = 2;
    await fail('a');
    await fail('a');
    await fail('a');
    expect(told.poison).toEqual([]);
    await fail('b');
    expect(told.poison).toHaveLength(1);
  });

  it('is offered once for each worker at once, and then once in a moment, however often it fails', async () => {
    const attempts = () => told.published.get(offerKey(idOf(0)));
    for (let i = 0; i < 100; i++) await fail('a');
    expect(attempts()).toEqual([1, 2]);
    for (let i = 0; i < 100; i++) await fail('a');
    expect(told.soon).toHaveLength(1);
    await told.soon[0]?.();
    expect(attempts()).toEqual([1, 2, 3]);
    await fail('a');
    expect(told.soon).toHaveLength(2);
    // One that somebody has by then is not offered.
    told.held.add(offerKey(idOf(0)));
    await told.soon[1]?.();
    expect(attempts()).toEqual([1, 2, 3]);
    // Whatever else was offered meanwhile: that may have been taken, and given up, too.
    told.held.clear();
    await fail('a');
    await fail('b');
    await told.soon[2]?.();
    expect(attempts()).toEqual([1, 2, 3, 4, 5]);
  });

  it('is offered in a moment to whoever comes first, and to nobody by its session before', async () => {
    await fail('a');
    await fail('a');
    await delay(5);
    made.offerLagging(() => 0);
    expect(told.asked).toEqual([]);
    await told.soon[0]?.();
    await delay(5);
    made.offerLagging(() => 0);
    expect(told.asked).toHaveLength(1);
  });

  it('waits for its step where that is not the current one when the moment has passed', async () => {
    const later = (id: string): Promise<void> => made.unitFailed(worker(id), idOf(2), 'no', 'engine/failed');
    const attempts = () => told.published.get(offerKey(idOf(2)));
    await later('a');
    await later('a');
    await told.soon[0]?.();
    expect(attempts()).toEqual([1]);
    await made.advance(2, open, 'joint');
    expect(attempts()).toEqual([1, 2]);
  });

  it('is offered again when one gives it back that was asked for it by its session: the broker does not have it', async () => {
    await fail('a');
    await told.soon[0]?.();
    await delay(5);
    made.offerLagging(() => 0);
    const [asked = ''] = told.asked;
    made.givenBack(idOf(0), 'somebody', 'has no time');
    expect(told.soon).toHaveLength(0);
    made.givenBack(idOf(0), asked, 'its gradient could not be sent');
    expect(told.soon).toHaveLength(1);
    await told.soon[0]?.();
    expect(told.published.get(offerKey(idOf(0)))).toEqual([1, 2, 4]);
  });

  it('is offered by its session to one that was lost and is back, once it lags again', async () => {
    list.splice(0, list.length, worker('a'));
    await delay(5);
    made.offerLagging(() => 0);
    await delay(5);
    made.offerLagging(() => 0);
    expect(told.asked).toEqual(['a']);
    await made.workerLeft(worker('a', idOf(0)), true);
    expect(told.published.get(offerKey(idOf(0)))).toEqual([1, 3]);
    // It lies in the queue, for anyone.
    made.offerLagging(() => 10_000);
    expect(told.asked).toEqual(['a']);
    await delay(5);
    made.offerLagging(() => 0);
    expect(told.asked).toEqual(['a', 'a']);
  });

  it('is what its worker says of it only if that had it', async () => {
    told.without.add('a').add('b').add('c');
    for (const id of ['a', 'b', 'c']) await made.refused(idOf(0), id, 'not finite');
    expect([told.poison, told.published.get(offerKey(idOf(0)))]).toEqual([[], [1]]);
  });

  it('is no fault of a unit when one worker dies of it again and again beside another', async () => {
    // The one that died is not in session any more.
    list.length = 1;
    for (let i = 0; i < 5; i++) await made.workerLeft(worker('z', idOf(0)), true);
    expect(told.poison).toEqual([]);
    await made.workerLeft(worker('y', idOf(0)), true);
    expect(told.later).toHaveLength(1);
    await told.later[0]?.();
    expect(told.poison).toHaveLength(1);
  });

  describe('whose sessions break while they hold it', () => {
    /** Four that have it: a lagging unit is offered to all that have nothing to do. */
    const cut = async (...ids: string[]): Promise<void> => {
      for (const id of ids) {
        list.splice(0, list.length, ...list.filter((one) => one.id !== id));
        await made.workerLeft(worker(id, idOf(0)), true);
      }
    };
    const comeBack = (id: string, process = id): void => {
      const back = { ...worker(id), instance: `process of ${process}` };
      list.push(back);
      made.workerJoined(back);
    };

    it('is no fault of a unit when their processes come back', async () => {
      await cut('a', 'b', 'c', 'd');
      expect(told.poison).toEqual([]);
      // Nobody is there to tell it from a network that is gone.
      await told.later[0]?.();
      expect([told.poison, told.later.length]).toEqual([[], 2]);
      for (const id of ['a', 'b', 'c', 'd']) comeBack(id);
      await told.later[1]?.();
      expect([told.poison, told.later.length]).toEqual([[], 2]);
      for (let i = 0; i < 5; i++) {
        await cut('a', 'b', 'c');
        for (const id of ['a', 'b', 'c']) comeBack(id);
      }
      for (const judge of told.later.splice(2)) await judge();
      expect(told.poison).toEqual([]);
    });

    it('is its fault when other processes come in their place', async () => {
      await cut('a', 'b', 'c');
      for (const id of ['a', 'b', 'c']) comeBack(id, `${id} anew`);
      await told.later[0]?.();
      expect(told.poison).toEqual([expect.stringContaining('unit 0 of step 0')]);
    });

    it('is its fault no more when another has brought it in', async () => {
      await cut('a', 'b', 'c');
      made.settle(idOf(0), 'd');
      await told.later[0]?.();
      expect(told.poison).toEqual([]);
    });

    it('is waited for too where a third worker says that it cannot compute it', async () => {
      await cut('a', 'b');
      await fail('c');
      expect(told.poison).toEqual([]);
      await told.later[0]?.();
      expect(told.poison).toHaveLength(1);
    });
  });

  it('or whose result is wrong three times, by as many workers as there are', async () => {
    list.length = 2;
    for (let i = 0; i < 3; i++) await made.refused(idOf(0), 'a', 'not finite');
    expect(told.poison).toEqual([]);
    list.push(worker('c'));
    await made.refused(idOf(0), 'b', 'not finite');
    expect(told.poison).toEqual([]);
    await made.refused(idOf(0), 'c', 'not finite');
    expect(told.poison).toEqual([expect.stringContaining('unit 0 of step 0')]);
  });
});

describe('a unit that is computed with a version too old, where each is applied as it comes', () => {
  it('is offered again of a worker that had it, and not again and again', async () => {
    const { made, told } = dispatcher(true, [worker('a'), worker('b')]);
    await made.restart(0, 1);
    await made.advance(0, open, 'joint');
    const attempts = () => told.published.get(offerKey(idOf(1)));
    for (let i = 0; i < 50; i++) await made.overtaken(idOf(1), 'a');
    expect([attempts(), told.soon.length]).toEqual([[1, 2], 1]);
    told.without.add('b');
    await made.overtaken(idOf(1), 'b');
    expect(attempts()).toEqual([1, 2]);
  });
});
