import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendCommand } from '@showtell/coordinator/commands.js';
import { runToEnd } from '@showtell/coordinator/cli/run-to-end.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { readAccount, type AccountedStep } from '@showtell/coordinator/step-account.js';
import { statusOfStopped } from '@showtell/coordinator/stopped-status.js';
import { CommandRequest_Kind } from '@showtell/shared/generated/showtell/v1/control.js';
import { Command_Kind, Phase, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import {
  journalOf,
  newRun,
  parametersAt,
  RunningCoordinator,
  tinyData,
  tinyJob,
  type TinyData,
} from '../../support/coordinator-cluster.js';
import { eventually } from '../../support/eventually.js';
import { startTestNats, type TestNats } from '../../support/nats-server.js';
import { scrape } from '../../support/scrape.js';
import { ScriptedWorker, type Deed, type Script } from '../../support/scripted-worker.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

let nats: TestNats;
let data: TinyData;
beforeAll(async () => {
  [nats, data] = await Promise.all([startTestNats(), tinyData()]);
});
afterAll(async () => {
  await nats[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
});

function begin(overrides: readonly string[] = [], forkedFrom: string | null = null): RunningCoordinator {
  const job = tinyJob(data.dataset, overrides);
  return new RunningCoordinator(newRun(data.dataset, job, forkedFrom), data.dataset, job, nats.url);
}

function resume(folder: RunFolder, overrides: readonly string[] = []): RunningCoordinator {
  const job = parseJob(folder.job(), overrides);
  folder.resumeWith(job, folder.identity());
  return new RunningCoordinator(folder, data.dataset, job, nats.url);
}

/** One that knows the answers at every step, so that BLEU never falls. */
function good(id: string, more: Partial<Script> = {}): Script {
  return { id, captions: (_, work) => data.rightCaptions(work), ...more };
}

/** Does `deed` for a unit of a step as often as it is told to. */
function deedAt(step: number, index: number, deed: Deed, times = Infinity, evaluation = false) {
  let done = 0;
  return (id: UnitId): Deed => {
    const isIt = id.step === step && id.index === index && id.evaluation === evaluation;
    return isIt && done++ < times ? deed : 'compute';
  };
}

async function stepsOf(folder: RunFolder): Promise<AccountedStep[]> {
  const steps: AccountedStep[] = [];
  for await (const step of readAccount(folder.at('steps.jsonl'))) steps.push(step);
  return steps;
}

/** What the whole job comes to, with one worker that never fails. */
let reference: Promise<{ final: string; atSwitch: string }> | undefined;
function undisturbed(): Promise<{ final: string; atSwitch: string }> {
  reference ??= (async () => {
    const run = begin();
    await run.worker(good('a'));
    await run.ended;
    return { final: parametersAt(run.folder, 8), atSwitch: parametersAt(run.folder, 4) };
  })();
  return reference;
}

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
    const seed = new Plan(run.job, data.dataset.split('train')).units(2)[0]?.seed ?? 0;
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
  it('that three times cannot be computed ends the run, its records named', async () => {
    const run = begin();
    for (const id of ['a', 'b']) await run.worker(good(id, { deed: deedAt(1, 1, 'fail') }));
    const error = await run.ended.catch((reason: unknown) => reason);
    const unit = new Plan(run.job, data.dataset.split('train')).units(1)[1];
    expect(error).toMatchObject({ code: 'unit/poison', facts: { unit: 'unit 1 of step 1' } });
    const { failures, records } = (error as { facts: { failures: string[]; records: string } }).facts;
    expect(failures).toHaveLength(3);
    expect(failures[0]).toContain('made to fail');
    for (const { offset } of unit?.records ?? []) expect(records).toContain(`@${offset}`);
    // What was trained so far is kept.
    expect(parametersAt(run.folder, 1)).toMatch(/^[0-9a-f]{64}$/);
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
    });
    await eventually('it holds what had been held too long', () => holds);
    dying.die();
    await eventually('its death is counted', async () => ((await counted())['worker-lost'] ?? 0) > 0);
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
    good(id, { captions: (step, work) => (step <= 4 ? data.rightCaptions(work) : []) });

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

describe('a run that is interrupted', () => {
  it('saves the version it stands at when it is stopped, and resumes to the same parameters', async () => {
    const run = begin();
    const worker = await run.worker(good('a'));
    await run.until('step', 3);
    run.control.stop();
    await run.ended;
    const last = run.events.at(-1);
    expect(last?.type).toBe('stopped');
    const stoppedAt = last?.step ?? 0;
    expect(stoppedAt).toBeGreaterThanOrEqual(3);
    await worker.gone;
    expect(worker.commands).toEqual([Command_Kind.KIND_STOP]);
    expect(statusOfStopped(run.folder)).toMatchObject({ state: 'not running', step: stoppedAt });

    const again = resume(run.folder);
    await again.worker(good('b'));
    await again.ended;
    expect(again.of('step')[0]?.step).toBe(stoppedAt + 1);
    expect(parametersAt(run.folder, 8)).toBe((await undisturbed()).final);
    expect((await stepsOf(run.folder)).map(({ step }) => step)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const evaluations = journalOf(run.folder).filter((entry) => entry.type === 'evaluation');
    expect(evaluations.map((entry) => entry.step)).toEqual([0, 2, 4, 6, 8]);
  });

  it('ends when it is stopped in an evaluation that nobody computes', async () => {
    const run = begin();
    const worker = await run.worker(good('a', { deed: deedAt(2, 0, 'hold', Infinity, true) }));
    await eventually('version 2 waits', () => worker.versions.at(-1)?.id?.step === 2);
    run.control.stop();
    await run.ended;
    expect(run.events.at(-1)).toEqual({ type: 'stopped', step: 2 });
    expect(parametersAt(run.folder, 2)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('goes on from the newest sound checkpoint when the last one is damaged', async () => {
    const run = begin();
    await run.worker(good('a'));
    await run.until('checkpoint', 6);
    run.control.stop();
    await run.ended;
    const stoppedAt = run.events.at(-1)?.step ?? 0;
    for (const step of new Set([6, stoppedAt]))
      writeFileSync(run.folder.at('checkpoints', String(step).padStart(8, '0'), 'manifest.json'), '{}');
    const again = resume(run.folder);
    await again.worker(good('b'));
    await again.ended;
    expect(again.of('step')[0]?.step).toBe(5);
    expect(parametersAt(run.folder, 8)).toBe((await undisturbed()).final);
  });

  it('is paused, asked and resumed by commands, then stopped by one', async () => {
    const run = begin(['phases.decoderOnly.steps=1000000']);
    const worker = await run.worker(good('a'));
    const { run: name } = run.folder.identity();
    const send = async (kind: CommandRequest_Kind) => sendCommand(await run.announced(), name, kind);
    await run.until('step', 1);
    expect(await send(CommandRequest_Kind.KIND_PAUSE)).toMatchObject({ run: name, state: 'paused' });
    await eventually('the worker knows', () => worker.commands.includes(Command_Kind.KIND_PAUSE));
    let step = -1;
    await eventually('it stands still', async () => {
      const now = (await send(CommandRequest_Kind.KIND_STATUS)).step;
      const stands = now === step;
      step = now;
      return stands;
    });
    const late = await run.worker(good('late'));
    await eventually('one that joins later knows too', () => late.commands.includes(Command_Kind.KIND_PAUSE));
    expect(await send(CommandRequest_Kind.KIND_RESUME)).toMatchObject({ state: 'training' });
    await run.until('step', step + 2);
    const status = await send(CommandRequest_Kind.KIND_STATUS);
    expect(status).toMatchObject({ phase: 'decoder-only', generation: 1, lineage: 1 });
    expect(status.workers.map(({ id }) => id).sort()).toEqual(['a', 'late']);
    await send(CommandRequest_Kind.KIND_STOP);
    await run.ended;
    expect(run.events.at(-1)).toMatchObject({ type: 'stopped' });
    const commands = journalOf(run.folder).flatMap((entry) => (entry.type === 'command' ? [entry.command] : []));
    expect(commands).toEqual(['pause', 'resume', 'stop']);
    await expect(sendCommand({ nats: nats.url }, name, CommandRequest_Kind.KIND_STATUS)).rejects.toMatchObject({
      code: 'run/not-answering',
    });
  });

  it('stops while it is paused without taking another step', async () => {
    const run = begin(['phases.decoderOnly.steps=1000000']);
    const worker = await run.worker(good('a'));
    await run.until('step', 1);
    run.control.pause();
    await eventually('it stands', () => worker.commands.includes(Command_Kind.KIND_PAUSE));
    const taken = run.of('step').length;
    run.control.stop();
    await run.ended;
    expect(run.of('step')).toHaveLength(taken);
    expect(run.events.at(-1)?.type).toBe('stopped');
  });

  it('writes nothing more once a newer coordinator has claimed it', async () => {
    const run = begin(['phases.decoderOnly.steps=1000000']);
    await run.worker(good('a'));
    await run.until('step', 3);
    run.folder.claimGeneration();
    const journal = journalOf(run.folder).length;
    const steps = (await stepsOf(run.folder)).length;
    await expect(run.ended).rejects.toMatchObject({ code: 'run/superseded', facts: { own: 1, newest: 2 } });
    expect(journalOf(run.folder)).toHaveLength(journal);
    // A line that was on its way when the other claimed.
    expect((await stepsOf(run.folder)).length - steps).toBeLessThanOrEqual(1);
  });

  it('takes nothing that was computed for an older generation', async () => {
    const run = begin();
    await run.worker(good('a'));
    await run.until('step', 1);
    run.control.stop();
    await run.ended;
    const again = resume(run.folder);
    const worker = await again.worker({ id: 'b', deed: () => 'hold' });
    await eventually('a version is announced', () => worker.versions.length > 0);
    const { generation, lineage, step } = worker.versions.at(-1)?.id ?? { generation: 0, lineage: 0, step: 0 };
    expect(generation).toBe(2);
    const id = { run: run.folder.identity().run, lineage, step, index: 0, attempt: 1, evaluation: false };
    const answer = await worker.push({ ...id, generation: 1 }, 1, Phase.PHASE_DECODER_ONLY);
    expect(answer).toMatchObject({
      verdict: Verdict.VERDICT_STALE,
      detail: expect.stringContaining('generation 1') as string,
    });
  });

  it('goes on where it was when the broker is killed in the middle of a step', async () => {
    await using own = await startTestNats();
    const job = tinyJob(data.dataset);
    const run = new RunningCoordinator(newRun(data.dataset, job), data.dataset, job, own.url);
    let kill = true;
    const deed = (id: UnitId): Deed => {
      if (id.step === 2 && kill) {
        kill = false;
        own.restart();
      }
      return 'compute';
    };
    await run.worker(good('a', { deed }));
    await run.worker(good('b'));
    await run.ended;
    expect(kill).toBe(false);
    expect(parametersAt(run.folder, 8)).toBe((await undisturbed()).final);
  });
});

describe('the command that trains', () => {
  it('ends with exit code 10 when the guard is unmet', async () => {
    const job = tinyJob(data.dataset, ['phases.decoderOnly.steps=1', 'evaluation.captionImages=0']);
    const folder = new RunFolder(join(temporaryFolder(), 'run'));
    const service = { natsUrl: nats.url, host: '127.0.0.1', grpcPort: 0, httpPort: 0 };
    const notes: string[] = [];
    const presenter = {
      show: () => undefined,
      note: (line: string) => void notes.push(line),
      [Symbol.dispose]: () => undefined,
    };
    const code = runToEnd({ run: folder.path, job, resume: false, from: null, workers: 0, ...service }, presenter);
    await eventually('it is announced', () => folder.liveCoordinator() !== undefined);
    const { jobSha256, datasetDigest } = folder.identity();
    await using _worker = new ScriptedWorker(
      folder.liveCoordinator()?.grpc ?? '',
      modelParameters(job).layout,
      { jobSha256, datasetDigest },
      { id: 'a', lossPerWord: () => 9 },
    );
    expect(await code).toMatchObject({ code: 10, last: { outcome: 'guard-unmet' }, bySignal: false });
    expect(notes).toEqual([expect.stringContaining('guard-unmet: 1 decoder-only steps are done') as string]);
  });
});

describe('a fork', () => {
  it("begins with the other run's checkpoint, and with its own from then on", async () => {
    const origin = begin(['phases.joint.steps=0']);
    await origin.worker(good('a'));
    await origin.ended;
    const checkpoint = origin.folder.at('checkpoints', '00000002');
    const fork = begin(['phases.joint.steps=0', 'phases.decoderOnly.learningRate=0.2'], checkpoint);
    await fork.announced();
    await eventually('it has a checkpoint', () => fork.of('evaluation').length === 0 && fork.folder.exists);
    fork.control.stop();
    await fork.ended;
    expect(parametersAt(fork.folder, 2)).toBe(parametersAt(origin.folder, 2));
    writeFileSync(`${checkpoint}/manifest.json`, '{}');
    const again = resume(fork.folder);
    await again.worker(good('b'));
    await again.ended;
    expect(again.of('step').map(({ step }) => step)).toEqual([3, 4]);
    expect(parametersAt(fork.folder, 4)).not.toBe(parametersAt(origin.folder, 4));
  });

  /** A fork of step 2 that is rolled back to step 4 when no checkpoint of its own is sound any more. */
  const rolledBack = async (damageOrigin: boolean) => {
    const origin = begin(['phases.joint.steps=0']);
    await origin.worker(good('a'));
    await origin.ended;
    const checkpoint = origin.folder.at('checkpoints', '00000002');
    const fork = begin(['phases.decoderOnly.learningRate=0.2'], checkpoint);
    let atSwitch = '';
    const damage = (folder: string): void => writeFileSync(join(folder, 'parameters.safetensors'), 'damaged');
    await fork.worker({
      id: 'b',
      captions: (step, work) => {
        if (step <= 4) return data.rightCaptions(work);
        if (atSwitch === '') {
          atSwitch = parametersAt(fork.folder, 4);
          for (const step of ['00000002', '00000004']) damage(fork.folder.at('checkpoints', step));
          if (damageOrigin) damage(checkpoint);
        }
        return [];
      },
    });
    await fork.ended.catch(() => undefined);
    return { fork, checkpoint, atSwitch };
  };

  it('takes its steps from its origin again when it is rolled back and no checkpoint of its own is sound', async () => {
    const { fork, atSwitch } = await rolledBack(false);
    await fork.ended;
    expect(fork.of('rollback')).toMatchObject([{ step: 6, toStep: 4 }]);
    expect(fork.of('step').map(({ step }) => step)).toEqual([3, 4, 5, 6, 3, 4]);
    expect(fork.events.at(-1)).toMatchObject({ type: 'finished', outcome: 'rolled-back', step: 4 });
    expect(parametersAt(fork.folder, 4)).toBe(atSwitch);

    // A person who removes all checkpoints comes to the same, of the same lineage.
    for (const step of ['00000002', '00000004'])
      rmSync(fork.folder.at('checkpoints', step), { recursive: true, force: true });
    const again = resume(fork.folder);
    await again.worker(good('c'));
    await again.ended;
    expect(again.of('step').map(({ step }) => step)).toEqual([3, 4]);
    expect(again.events.at(-1)).toMatchObject({ outcome: 'rolled-back', step: 4 });
    expect(parametersAt(fork.folder, 4)).toBe(atSwitch);
  });

  it('ends with an error when its origin is damaged too, and begins nowhere else', async () => {
    const { fork, checkpoint } = await rolledBack(true);
    await expect(fork.ended).rejects.toMatchObject({
      code: 'checkpoint/none-sound',
      message: expect.stringContaining(checkpoint) as string,
    });
    expect(fork.of('step').map(({ step }) => step)).toEqual([3, 4, 5, 6]);
    await expect(resume(fork.folder).ended).rejects.toMatchObject({ code: 'checkpoint/none-sound' });
  });
});
