import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { statusOfStopped } from '@showtell/coordinator/stopped-status.js';
import { Command_Kind, Phase, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import type { EvaluationWork } from '@showtell/shared/generated/showtell/v1/unit.js';
import { journalOf, parametersAt } from '../../support/coordinator-cluster.js';
import { coordinatorSuite, deedAt, stepsOf } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import { scrape } from '../../support/scrape.js';
import type { Script } from '../../support/scripted-worker.js';

const suite = coordinatorSuite();
const { begin, resume, good, undisturbed } = suite;

describe('a run', () => {
  it('takes each step from its units, evaluates, switches and is complete', async () => {
    const run = begin();
    const workers = await Promise.all([run.worker(good('a')), run.worker(good('b'))]);
    await run.ended;

    expect(run.of('step').map(({ step, phase, totalSteps }) => [step, phase, totalSteps])).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((step) => [step, step <= 4 ? 'decoder-only' : 'joint', 8]),
    );
    expect(run.of('evaluation').map(({ step, phase }) => [step, phase])).toEqual([
      [0, 'decoder-only'],
      [2, 'decoder-only'],
      [4, 'decoder-only'],
      [6, 'joint'],
      [8, 'joint'],
    ]);
    expect(run.of('evaluation')[0]?.scores).toMatchObject({ words: 40, captions: { images: 4 } });
    expect(run.of('evaluation')[0]?.scores.captions?.bleu[3]).toBeGreaterThan(0.8);
    expect(run.of('evaluation')[0]?.scores.lossPerWord).toBeCloseTo(0.1, 12);
    expect(run.of('switch').map(({ step }) => step)).toEqual([4]);
    expect(run.of('checkpoint').map(({ step }) => step)).toEqual([2, 4, 6, 8]);
    expect(run.events.at(-1)).toMatchObject({ type: 'finished', step: 8, outcome: 'complete', phase: 'joint' });

    const steps = await stepsOf(run.folder);
    expect(steps.map(({ step, lineage, generation }) => [step, lineage, generation])).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 7].map((step) => [step, 1, 1]),
    );
    for (const { units } of steps) expect(units.map(({ index, examples }) => [index, examples])).toEqual([[0, 2], [1, 2]]); // prettier-ignore
    await Promise.all(workers.map((worker) => worker.gone));
    for (const worker of workers) {
      expect(worker.commands).toEqual([Command_Kind.KIND_COMPLETE]);
      expect(worker.results.every(({ verdict }) => verdict !== Verdict.VERDICT_INVALID)).toBe(true);
    }
    expect(statusOfStopped(run.folder)).toMatchObject({ state: 'finished', step: 8, totalSteps: 8, switchedAt: 4 });
    expect(run.folder.liveCoordinator()).toBeUndefined();
  });

  it('announces a version without a phase where a decision is due, and again when it is taken', async () => {
    const run = begin();
    const worker = await run.worker(good('a'));
    await run.ended;
    const seen = worker.versions.map(({ id, phase }) => [id?.step, phase]);
    const { PHASE_UNSPECIFIED: none, PHASE_DECODER_ONLY: decoder, PHASE_JOINT: joint } = Phase;
    expect(seen).toEqual([[0, none], [0, decoder], [1, decoder], [2, none], [2, decoder], [3, decoder], [4, none], [4, joint], [5, joint], [6, none], [6, joint], [7, joint], [8, none]]); // prettier-ignore
  });

  it('takes no gradient for a version that is still to be decided about', async () => {
    const run = begin();
    const worker = await run.worker(good('a', { deed: deedAt(2, 0, 'hold', 1, true) }));
    await eventually('version 2 waits', () => worker.versions.at(-1)?.id?.step === 2);
    const { run: name } = run.folder.identity();
    const id = { run: name, generation: 1, lineage: 1, step: 2, index: 0, attempt: 1, evaluation: false };
    const seed = new Plan(run.job, suite.data.dataset.split('train')).units(2)[0]?.seed ?? 0;
    for (const phase of [Phase.PHASE_DECODER_ONLY, Phase.PHASE_JOINT])
      expect((await worker.push(id, seed, phase)).verdict).toBe(Verdict.VERDICT_STALE);
    await run.worker(good('b'));
    worker.die();
    await run.ended;
    expect(parametersAt(run.folder, 8)).toBe((await undisturbed()).final);
  });

  it('comes to the same parameters with other workers, deaths and recomputed units', async () => {
    const run = begin();
    await run.worker(good('a', { deed: deedAt(1, 1, 'die', 1) }));
    await run.worker(good('b', { deed: deedAt(5, 0, 'not-finite', 1) }));
    await run.worker(good('c', { deed: deedAt(3, 0, 'fail', 1) }));
    await run.ended;
    expect(parametersAt(run.folder, 8)).toBe((await undisturbed()).final);
  });
});

describe('the phases', () => {
  it('end before the joint one when the decoder has not learnt', async () => {
    const run = begin();
    await run.worker(good('a', { lossPerWord: () => 9 }));
    await run.ended;
    expect(run.events.at(-1)).toMatchObject({
      type: 'finished',
      step: 4,
      outcome: 'guard-unmet',
      phase: 'decoder-only',
    });
    expect(parametersAt(run.folder, 4)).toBe((await undisturbed()).atSwitch);
  });

  /** Captions are right up to the switch and wrong after it. */
  const falling = (id: string): Script =>
    good(id, { captions: (step, work) => (step <= 4 ? suite.data.rightCaptions(work) : []) });

  it('roll back once when captions get worse, and end with the decoder-only version', async () => {
    const run = begin();
    await run.worker(falling('a'));
    await run.ended;
    expect(run.of('rollback')).toMatchObject([{ step: 6, toStep: 4 }]);
    expect(run.events.at(-1)).toMatchObject({
      type: 'finished',
      step: 4,
      outcome: 'rolled-back',
      phase: 'decoder-only',
    });
    const { atSwitch } = await undisturbed();
    expect(parametersAt(run.folder, 4)).toBe(atSwitch);
    expect(statusOfStopped(run.folder)).toMatchObject({
      state: 'finished',
      lineage: 2,
      step: 4,
      phase: 'decoder-only',
    });

    // Nobody is needed to find out again what the journal knows.
    const again = resume(run.folder);
    await again.ended;
    expect(again.events.map(({ type }) => type)).toEqual(['checkpoint', 'finished']);
    expect(again.events.at(-1)).toMatchObject({ outcome: 'rolled-back' });

    // The switch's checkpoint is damaged: the steps up to it are taken again, in the new lineage.
    const file = run.folder.at('checkpoints', '00000004', 'parameters.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const replay = resume(run.folder);
    await replay.worker(falling('b'));
    await replay.ended;
    expect(replay.of('step').map(({ step }) => step)).toEqual([3, 4]);
    expect(replay.events.at(-1)).toMatchObject({ outcome: 'rolled-back', step: 4 });
    expect(parametersAt(run.folder, 4)).toBe(atSwitch);
    expect((await stepsOf(run.folder)).map(({ step, lineage }) => [step, lineage])).toEqual([[0, 1], [1, 1], [2, 2], [3, 2]]); // prettier-ignore
  });

  it('grow on resume, and come to what a run with the longer phase comes to', async () => {
    const short = begin(['phases.joint.steps=1']);
    await short.worker(good('a'));
    await short.ended;
    expect(short.events.at(-1)).toMatchObject({ type: 'finished', step: 5 });
    expect(() => resume(short.folder, ['phases.decoderOnly.steps=6'])).toThrow(
      'phases.decoderOnly.steps has grown from 4 to 6, but that phase ended at step 4',
    );
    const longer = resume(short.folder, ['phases.joint.steps=4']);
    await longer.worker(good('b'));
    await longer.ended;
    expect(longer.of('step').map(({ step }) => step)).toEqual([6, 7, 8]);
    expect(parametersAt(short.folder, 8)).toBe((await undisturbed()).final);
  });
});

describe('/metrics', () => {
  it('has the scores of the last evaluation, and how long it took', async () => {
    const run = begin();
    // Right, wrong and half right captions, so that no two scores are the same.
    const captions = (_step: number, work: EvaluationWork): string[] =>
      suite.data
        .rightCaptions(work)
        .map((caption, i) => (i === 0 ? caption : caption.split(' ').slice(0, -2).join(' ')));
    await run.worker(good('a', { captions, deed: (id) => (id.step === 2 && !id.evaluation ? 'hold' : 'compute') }));
    await run.until('evaluation', 2);
    const samples = await scrape((await run.announced()).http);
    const scores = run.of('evaluation').at(-1)?.scores;
    const { bleu, rougeL, cider, novelty, colorAccuracy } = scores?.captions ?? {};
    const shown = (name: string): number | undefined => samples.get(`showtell_${name}`);
    expect(bleu).toHaveLength(4);
    expect(new Set([...(bleu ?? []), rougeL, cider]).size).toBe(6);
    expect([1, 2, 3, 4].map((n) => shown(`bleu{n="${n}"}`))).toEqual(bleu);
    expect(shown('rouge_l')).toBe(rougeL);
    expect(shown('cider')).toBe(cider);
    expect(shown('novelty')).toBe(novelty);
    expect(shown('color_accuracy')).toBe(colorAccuracy);
    expect(shown('perplexity')).toBe(scores?.perplexity);
    expect(shown('evaluation_duration_seconds_count')).toBe(2);
    // And they are what is journalled.
    expect(journalOf(run.folder).findLast((entry) => entry.type === 'evaluation')).toMatchObject({ step: 2, scores });
  });
});
