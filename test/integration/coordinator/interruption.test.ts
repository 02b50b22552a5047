import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readManifest } from '@showtell/coordinator/checkpoints/read-checkpoint.js';
import { sendCommand } from '@showtell/coordinator/commands.js';
import { statusOfStopped } from '@showtell/coordinator/stopped-status.js';
import type { CommandRequest_Kind } from '@showtell/shared/generated/showtell/v1/control.js';
import { Command_Kind, Phase, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { journalOf, newRun, parametersAt, RunningCoordinator, tinyJob } from '../../support/coordinator-cluster.js';
import { coordinatorSuite, deedAt, stepsOf } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import { startTestNats } from '../../support/nats-server.js';
import type { Deed } from '../../support/scripted-worker.js';

const suite = coordinatorSuite();
const { begin, resume, good, undisturbed } = suite;

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
    const metrics = () => readManifest(run.folder.at('checkpoints', '00000002')).metrics;
    expect(metrics().bleu4).toBeNull();

    // Without its scores it could not be the best one, which is kept.
    const again = resume(run.folder);
    await again.worker(good('b'));
    await again.until('checkpoint', 2);
    expect(metrics().bleu4).toEqual(expect.any(Number));
    await again.ended;
    expect(parametersAt(run.folder, 8)).toBe((await undisturbed()).final);
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
    const identity = run.folder.identity();
    const { run: name } = identity;
    const send = async (kind: keyof typeof CommandRequest_Kind) => sendCommand(await run.announced(), identity, kind);
    await run.until('step', 1);
    expect(await send('KIND_PAUSE')).toMatchObject({ run: name, state: 'paused' });
    await eventually('the worker knows', () => worker.commands.includes(Command_Kind.KIND_PAUSE));
    let step = -1;
    await eventually('it stands still', async () => {
      const now = (await send('KIND_STATUS')).step;
      const stands = now === step;
      step = now;
      return stands;
    });
    const late = await run.worker(good('late'));
    await eventually('one that joins later knows too', () => late.commands.includes(Command_Kind.KIND_PAUSE));
    expect(await send('KIND_RESUME')).toMatchObject({ state: 'training' });
    await run.until('step', step + 2);
    const status = await send('KIND_STATUS');
    expect(status).toMatchObject({ phase: 'decoder-only', generation: 1, lineage: 1 });
    expect(status.workers.map(({ id }) => id).sort()).toEqual(['a', 'late']);
    await send('KIND_STOP');
    await run.ended;
    expect(run.events.at(-1)).toMatchObject({ type: 'stopped' });
    const commands = journalOf(run.folder).flatMap((entry) => (entry.type === 'command' ? [entry.command] : []));
    expect(commands).toEqual(['pause', 'resume', 'stop']);
    await expect(sendCommand({ nats: suite.nats.url }, identity, 'KIND_STATUS')).rejects.toMatchObject({
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
    const job = tinyJob(suite.data.dataset);
    const run = new RunningCoordinator(newRun(suite.data.dataset, job), suite.data.dataset, job, own.url);
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
