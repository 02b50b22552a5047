import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ShowtellError } from '@showtell/shared/errors.js';
import { Phase, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import { journalOf, parametersAt } from '../../support/coordinator-cluster.js';
import { coordinatorSuite, deedAt, stepsOf } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import { scrape } from '../../support/scrape.js';
import type { Deed, ScriptedWorker } from '../../support/scripted-worker.js';

const suite = coordinatorSuite();
const { begin, resume, good } = suite;

describe('a worker', () => {
  it('that dies has its units offered again at once', async () => {
    const run = begin();
    const worker = await run.worker(good('a', { deed: deedAt(1, 0, 'hold') }));
    await run.until('step', 1);
    const second = await run.worker(good('b'));
    await eventually('the other unit is done', () =>
      [...worker.results, ...second.results].some(({ id }) => id.step === 1 && id.index === 1 && !id.evaluation),
    );
    const began = Date.now();
    worker.die();
    await run.until('step', 2);
    // A lease would have run out after thirty seconds.
    expect(Date.now() - began).toBeLessThan(20_000);
    await run.ended;
    const attempts = (await stepsOf(run.folder))[1]?.units.map(({ index, worker: by, attempt }) => [
      index,
      by,
      attempt,
    ]);
    expect(attempts?.[0]).toEqual([0, 'b', expect.toSatisfy((attempt: number) => attempt >= 2)]);
  });

  it('of another version, job or data is refused, and told why', async () => {
    const run = begin();
    for (const [hello, code] of [
      [{ version: '0.0.1' }, 'worker/other-version'],
      [{ jobSha256: 'x' }, 'worker/other-job'],
      [{ datasetDigest: 'x' }, 'worker/other-data'],
    ] as const) {
      const worker = await run.worker({ id: 'odd', hello });
      expect(await worker.answered).toMatchObject({ refusal: { code } });
      await worker.gone;
    }
  });

  it('that computes other numbers is told by its canary, also after a resume', async () => {
    const run = begin();
    const worker = await run.worker({ id: 'a', deed: () => 'hold' });
    expect(await worker.canary('g', 'aa'.repeat(32))).toMatchObject({ accepted: true });
    expect(await worker.canary('g', 'bb'.repeat(32))).toEqual({ accepted: false, expectedSha256: 'aa'.repeat(32) });
    run.control.stop();
    await run.ended;
    const again = resume(run.folder);
    const other = await again.worker({ id: 'b', deed: () => 'hold' });
    expect(await other.canary('g', 'bb'.repeat(32))).toMatchObject({ accepted: false });
  });

  it('that joins again under its name takes the place of its old session', async () => {
    const run = begin();
    const first = await run.worker(good('a', { deed: deedAt(0, 0, 'hold') }));
    await eventually('it works', () => first.results.length > 0);
    await run.worker(good('a'));
    await run.ended;
    expect(run.events.at(-1)).toMatchObject({ outcome: 'complete' });
  });
});

describe('a unit', () => {
  it('that lags is computed by an idle worker too, and the slow one comes too late', async () => {
    const steps = ['phases.decoderOnly.steps=12'];
    const reference = begin(steps);
    await reference.worker(good('a'));
    await reference.ended;

    const run = begin(steps);
    const holds = deedAt(6, 1, 'hold', 1);
    let holder = '';
    const deed = (id: UnitId, { name }: ScriptedWorker): Deed => {
      // At step 8 it stands still, to be looked at.
      const what = id.step === 8 && !id.evaluation ? 'hold' : holds(id);
      if (what === 'hold' && id.step === 6) holder = name;
      return what;
    };
    const workers = [await run.worker(good('a', { deed })), await run.worker(good('b', { deed }))];
    await eventually('version 8 is saved', () => existsSync(run.folder.at('checkpoints', '00000008', 'manifest.json')));
    const [slow, other] = holder === 'a' ? workers : workers.toReversed();
    const held = { run: run.folder.identity().run, generation: 1, lineage: 1, step: 6, index: 1, attempt: 1, evaluation: false }; // prettier-ignore
    expect(await slow?.push(held, 1, Phase.PHASE_DECODER_ONLY)).toMatchObject({ verdict: Verdict.VERDICT_STALE });
    const { http } = await run.announced();
    expect((await scrape(http)).get('showtell_units_redelivered_total{reason="straggler"}')).toBeGreaterThanOrEqual(1);
    expect(parametersAt(run.folder, 8)).toBe(parametersAt(reference.folder, 8));
    const counted = (await stepsOf(run.folder))[6]?.units.find(({ index }) => index === 1);
    expect(counted).toMatchObject({ worker: other?.name, attempt: expect.toSatisfy((n: number) => n >= 2) as number });
  });

  it('that went to a worker which stands still, and never said so, is computed by an idle one', async () => {
    const run = begin(['phases.decoderOnly.steps=12']);
    const stopsAt = ({ step, index, attempt, evaluation }: UnitId): boolean =>
      step === 6 && index === 1 && attempt === 1 && !evaluation;
    for (const id of ['a', 'b']) await run.worker(good(id, { stopsAt }));
    await run.ended;
    // The broker would have given it to another by itself after half a minute, as the same attempt.
    const counted = (await stepsOf(run.folder))[6]?.units.find(({ index }) => index === 1);
    expect(counted?.attempt).toBeGreaterThanOrEqual(2);
  });

  it('that three times cannot be computed ends the run, its records named', async () => {
    const run = begin();
    for (const id of ['a', 'b']) await run.worker(good(id, { deed: deedAt(1, 1, 'fail') }));
    const error = await run.ended.catch((reason: unknown) => reason);
    const unit = new Plan(run.job, suite.data.dataset.split('train')).units(1)[1];
    expect(error).toMatchObject({ code: 'unit/poison', facts: { unit: 'unit 1 of step 1' } });
    const { failures, records } = (error as { facts: { failures: string[]; records: string } }).facts;
    // One that is quick may fail a time more before the other does.
    expect(failures.length).toBeGreaterThanOrEqual(3);
    expect(new Set(failures)).toEqual(new Set(['a: made to fail', 'b: made to fail']));
    for (const { offset } of unit?.records ?? []) expect(records).toContain(`@${offset}`);
    // What was trained so far is kept.
    expect(parametersAt(run.folder, 1)).toMatch(/^[0-9a-f]{64}$/);
  });

  describe('that several hold who are cut off at once', () => {
    /** Four hold one unit, because it lags; the sessions of three of them break. */
    const cutOff = async () => {
      const run = begin(['phases.decoderOnly.steps=12']);
      const holders = new Set<string>();
      const hold = deedAt(6, 0, 'hold');
      const deed = (id: UnitId, { name }: ScriptedWorker): Deed => {
        const what = hold(id);
        if (what === 'hold') holders.add(name);
        return what;
      };
      const there: ScriptedWorker[] = [];
      for (const id of ['a', 'b', 'c', 'd']) there.push(await run.worker(good(id, { deed, hello: { instance: id } })));
      await eventually('all hold it', () => holders.size === there.length);
      for (const worker of there.slice(0, 3)) worker.die();
      return run;
    };

    it('ends no run when their processes come back', async () => {
      const run = await cutOff();
      for (const id of ['a', 'b', 'c']) await run.worker(good(id, { hello: { instance: id } }));
      await run.ended;
      expect(run.events.at(-1)).toMatchObject({ outcome: 'complete' });
    });

    it('ends the run when they do not, though others take their names', async () => {
      const run = await cutOff();
      for (const id of ['a', 'b', 'c']) await run.worker({ ...good(id), deed: deedAt(6, 0, 'hold') });
      await expect(run.ended).rejects.toMatchObject({
        code: 'unit/poison',
        facts: {
          unit: 'unit 0 of step 6',
          failures: ['a', 'b', 'c'].map((id) => `${id}: the worker died while it held the unit`),
        },
      });
    });
  });

  it('for which memory ran out three times ends the run with advice, and the job stays as it is', async () => {
    const run = begin();
    await run.worker(good('a', { deed: deedAt(1, 1, 'out-of-memory') }));
    const error = await run.ended.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'unit/out-of-memory', exitCode: 71, facts: { unit: 'unit 1 of step 1' } });
    expect((error as ShowtellError).remedy).toContain('batch.units');
    expect(run.folder.job()).toMatchObject({ batch: { units: 2 } });
  });

  it('whose gradient is not finite twice ends the run', async () => {
    const run = begin();
    await run.worker(good('a', { deed: deedAt(1, 0, 'not-finite') }));
    await expect(run.ended).rejects.toMatchObject({ code: 'unit/poison', facts: { unit: 'unit 0 of step 1' } });
  });

  it('of an evaluation whose loss is not finite twice ends the run', async () => {
    const run = begin();
    await run.worker(good('a', { deed: deedAt(2, 1, 'not-finite', Infinity, true) }));
    await expect(run.ended).rejects.toMatchObject({
      code: 'unit/poison',
      facts: { unit: 'evaluation unit 1 of step 2' },
    });
  });

  it('that its worker lost without a word is offered again after a while', async () => {
    const run = begin(['cluster.stallSeconds=1']);
    await run.worker(good('a', { deed: deedAt(1, 0, 'vanish', 1) }));
    await run.until('step', 2);
  });

  it('is counted by the reason for which it is offered again', async () => {
    const run = begin(['cluster.stallSeconds=1']);
    const deeds = [deedAt(1, 0, 'fail', 1), deedAt(2, 0, 'not-finite', 1), deedAt(3, 0, 'vanish', 1), deedAt(3, 1, 'give-back', 1)]; // prettier-ignore
    const deed = (id: UnitId): Deed => deeds.map((each) => each(id)).find((each) => each !== 'compute') ?? 'compute';
    await run.worker(good('a', { deed: (id) => (id.step < 4 ? deed(id) : 'hold') }));
    await run.until('step', 4);
    let holds = false;
    const dying = await run.worker(good('b', { deed: () => ((holds = true), 'hold') }));
    const { http } = await run.announced();
    const counted = async (): Promise<Record<string, number>> => {
      const name = /^showtell_units_redelivered_total\{reason="([a-z-]+)"\}$/;
      return Object.fromEntries(
        [...(await scrape(http))].flatMap(([key, value]) =>
          name.test(key) ? [[name.exec(key)?.[1] ?? '', value]] : [],
        ),
      );
    };
    const before = await counted();
    expect(before).toEqual({
      'unit-failed': 1,
      refused: 1,
      straggler: expect.toSatisfy((value: number) => value >= 1) as number,
      'given-back': 1,
      'worker-lost': 0,
      'worker-silent': 0,
      'broker-lost': 0,
      'too-stale': 0,
    });
    await eventually('it holds what had been held too long', () => holds);
    dying.die();
    await eventually('its death is counted', async () => ((await counted())['worker-lost'] ?? 0) > 0);
  });

  it('that counts is accepted again of who asks again, and of what that says nothing is taken', async () => {
    const run = begin(['data.maxCorruptRecords=1']);
    const worker = await run.worker(good('a', { deed: deedAt(1, 1, 'hold') }));
    const ofStep = () => worker.results.find(({ id }) => id.step === 1);
    await eventually('a unit of the step counts', () => ofStep() !== undefined);
    const { id } = ofStep() as { id: UnitId };
    const skipped = Array.from({ length: 5_000 }, (_, i) => i);
    const again = await worker.push(id, 1, Phase.PHASE_DECODER_ONLY, { skipped });
    expect(again.verdict).toBe(Verdict.VERDICT_ACCEPTED);
    expect(journalOf(run.folder).filter((entry) => entry.type === 'skipped')).toEqual([]);
    worker.die();
    await run.worker(good('b'));
    await run.ended;
  });

  it('with undecodable records is counted, journalled once, and too many end the run', async () => {
    const run = begin(['data.maxCorruptRecords=1']);
    await run.worker(
      good('a', { skipped: (id) => (id.step === 1 || id.step === 3 ? [0] : []), deed: deedAt(3, 1, 'hold') }),
    );
    await expect(run.ended).rejects.toMatchObject({ code: 'data/too-many-corrupt', facts: { count: 2, limit: 1 } });
    const skipped = journalOf(run.folder).filter((entry) => entry.type === 'skipped');
    expect(skipped[0]).toMatchObject({ step: 1, records: [expect.stringContaining('train')] });
  });
});
