import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { sendCommand } from '@showtell/coordinator/commands.js';
import { journalOf, parametersAt, type RunningCoordinator } from '../../support/coordinator-cluster.js';
import { coordinatorSuite } from '../../support/coordinator-suite.js';

const suite = coordinatorSuite();

/** A long first phase, and workers that hold the step after which the order comes. */
const long = ['phases.decoderOnly.steps=20', 'evaluation.everySteps=100', 'checkpoints.everySteps=1'];

async function order(run: RunningCoordinator): Promise<void> {
  const live = await run.announced();
  await sendCommand(live, run.folder.identity(), 'KIND_SWITCH');
}

/** Switches by a person's order somewhere, and runs to its end. */
async function switched(run: RunningCoordinator, lossPerWord = 0.1): Promise<number | undefined> {
  await run.worker(suite.good('a', { lossPerWord: () => lossPerWord }));
  await run.until('step', 2);
  await order(run);
  await run.ended;
  return run.of('switch')[0]?.step;
}

describe('an order to begin the joint phase', () => {
  it('is journalled with its step before it acts, and a run resumed from before it comes to the same bits', async () => {
    const run = suite.begin(long);
    const step = await switched(run);
    expect(step).toBeGreaterThan(2);
    expect(step).toBeLessThan(20);
    const entries = journalOf(run.folder).map((entry) => entry.type);
    expect(entries.indexOf('switch-order')).toBeGreaterThan(entries.indexOf('command'));
    expect(entries.indexOf('switch')).toBeGreaterThan(entries.indexOf('switch-order'));
    expect(journalOf(run.folder)).toContainEqual({ type: 'switch-order', step, lineage: 1 });
    const final = step! + 4;
    expect(run.of('finished')).toMatchObject([{ step: final, outcome: 'complete' }]);
    const before = parametersAt(run.folder, final);

    // As after a crash: the newest checkpoints and the end are not there.
    for (const { step: at } of run.of('checkpoint'))
      if (at >= step! - 1) rmSync(run.folder.at('checkpoints', String(at).padStart(8, '0')), { recursive: true });
    const again = suite.resume(run.folder);
    await again.worker(suite.good('b', { lossPerWord: () => 0.1 }));
    await again.ended;
    expect(again.of('switch')).toMatchObject([{ step }]);
    expect(parametersAt(run.folder, final)).toBe(before);
  });

  it('is refused where the guard is unmet, and the phase goes on', async () => {
    const run = suite.begin(long.map((each) => each.replace('=20', '=8')));
    await run.worker(suite.good('a', { lossPerWord: (step) => (step < 8 ? 50 : 0.1) }));
    await run.until('step', 2);
    await order(run);
    await run.ended;
    const [refused] = run.of('switch-refused');
    expect(refused?.reason).toContain('a person asked for the joint phase, but perplexity is above');
    expect(journalOf(run.folder)).toContainEqual({ ...refused!, lineage: 1 });
    expect(run.of('switch')).toMatchObject([{ step: 8 }]);
    expect(run.of('finished')).toMatchObject([{ step: 12, outcome: 'complete' }]);
  });

  it('cannot be given in the joint phase, nor to a job without one', async () => {
    const run = suite.begin(['phases.joint.steps=0', 'phases.decoderOnly.steps=3']);
    const live = await run.announced();
    await expect(sendCommand(live, run.folder.identity(), 'KIND_SWITCH')).rejects.toThrow('its job has no joint phase');
    expect(journalOf(run.folder).filter(({ type }) => type === 'command')).toEqual([]);
  });
});
