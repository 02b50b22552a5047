import { describe, expect, it } from 'vitest';
import {
  decide,
  isDecisionStep,
  totalSteps,
  type EvaluatedVersion,
  type PhaseState,
} from '@showtell/coordinator/phases/switch.js';
import type { Job, JobInput } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';

function jobOf(phases: JobInput['phases'] = {}): Job {
  return parseJob({
    phases: {
      decoderOnly: { steps: 100, ...phases.decoderOnly },
      joint: { steps: 50, ...phases.joint },
    },
    evaluation: { everySteps: 10 },
  });
}

const decoderOnly = (step: number): PhaseState => ({ step, phase: 'decoder-only', switchedAt: null });
const joint = (step: number, switchedAt = 100): PhaseState => ({ step, phase: 'joint', switchedAt });

/** Evaluations of one phase, every ten steps. */
function losses(values: readonly number[]): EvaluatedVersion[] {
  return values.map((lossPerWord, i) => ({ step: i * 10, phase: 'decoder-only', lossPerWord, bleu4: null }));
}

function bleus(values: readonly (number | null)[]): EvaluatedVersion[] {
  return values.map((bleu4, i) => ({
    step: 100 + i * 10,
    phase: i === 0 ? 'decoder-only' : 'joint',
    lossPerWord: 2,
    bleu4,
  }));
}

/** Nats: perplexity e^4. */
const unigram = 4;
const ln2 = 0.6931471805599453;

describe('decide, decoder-only', () => {
  it('stays before the last step', () => {
    expect(decide(jobOf(), decoderOnly(90), losses([4, 3, 2]), unigram)).toEqual({ type: 'stay' });
  });

  it('switches at the last step when the guard is met, at its very limit too', () => {
    for (const loss of [1, unigram - ln2])
      expect(decide(jobOf(), decoderOnly(100), losses([loss]), unigram).type).toBe('switch');
  });

  it('ends when perplexity is above half the baseline, and says by what', () => {
    const decision = decide(jobOf(), decoderOnly(100), losses([unigram - ln2 + 1e-9]), unigram);
    expect(decision).toMatchObject({ type: 'guard-unmet' });
    expect(decision.type === 'guard-unmet' && decision.reason).toContain('unigram baseline 4.0000');
  });

  it('asks nothing of the decoder when the guard is off', () => {
    const job = jobOf({ joint: { guard: { maxPerplexityRatio: null } } });
    expect(decide(job, decoderOnly(100), losses([9]), unigram).type).toBe('switch');
  });

  it('asks nothing when the job has no decoder-only steps', () => {
    expect(decide(jobOf({ decoderOnly: { steps: 0 } }), decoderOnly(0), losses([9]), unigram).type).toBe('switch');
  });

  it('finishes when there is no joint phase', () => {
    expect(decide(jobOf({ joint: { steps: 0 } }), decoderOnly(100), losses([9]), unigram).type).toBe('finish');
  });

  it('does not meet the guard without an evaluation', () => {
    expect(decide(jobOf(), decoderOnly(100), [], unigram).type).toBe('guard-unmet');
  });

  it('ends early on a plateau, once as many evaluations brought nothing', () => {
    const job = jobOf({ decoderOnly: { plateau: { evaluations: 2, minImprovement: 0.1 } } });
    const at = (values: readonly number[]): string =>
      decide(job, decoderOnly((values.length - 1) * 10), losses(values), unigram).type;
    expect(at([4, 3, 2])).toBe('stay');
    expect(at([2, 1.95])).toBe('stay');
    expect(at([2, 1.95, 1.9])).toBe('switch');
    expect(at([2, 1.95, 1.7])).toBe('stay');
    // The fall that counted lies before the last two.
    expect(at([2, 1.7, 1.69, 1.68])).toBe('switch');
  });

  it('holds a plateau to the guard as well', () => {
    const job = jobOf({ decoderOnly: { plateau: { evaluations: 1, minImprovement: 0 } } });
    expect(decide(job, decoderOnly(10), losses([3.9, 3.95]), unigram).type).toBe('guard-unmet');
  });

  it('never ends early without a plateau rule', () => {
    expect(decide(jobOf(), decoderOnly(50), losses([2, 2, 2, 2, 2, 2]), unigram)).toEqual({ type: 'stay' });
  });
});

describe('decide, joint', () => {
  const job = jobOf({ joint: { maxBleuDrop: 0.05, rollbackPatience: 2 } });

  it('stays while BLEU holds', () => {
    expect(decide(job, joint(120), bleus([0.3, 0.29, 0.26]), unigram)).toEqual({ type: 'stay' });
  });

  it('rolls back only after as many falls in a row as the job’s patience', () => {
    expect(decide(job, joint(110), bleus([0.3, 0.1]), unigram)).toEqual({ type: 'stay' });
    expect(decide(job, joint(130), bleus([0.3, 0.1, 0.3, 0.1]), unigram)).toEqual({ type: 'stay' });
    expect(decide(job, joint(130), bleus([0.3, 0.3, 0.1, 0.1]), unigram)).toMatchObject({
      type: 'roll-back',
      toStep: 100,
    });
  });

  it('rolls back at the last step too, rather than finish', () => {
    expect(decide(job, joint(150), bleus([0.3, 0.1, 0.1]), unigram).type).toBe('roll-back');
  });

  it('never rolls back when the job says null, or no captions were made', () => {
    const off = jobOf({ joint: { maxBleuDrop: null } });
    expect(decide(off, joint(120), bleus([0.3, 0, 0]), unigram)).toEqual({ type: 'stay' });
    expect(decide(job, joint(120), bleus([null, null, null]), unigram)).toEqual({ type: 'stay' });
  });

  it('finishes after its steps, counted from the switch', () => {
    expect(decide(job, joint(149), bleus([0.3]), unigram)).toEqual({ type: 'stay' });
    expect(decide(job, joint(150), bleus([0.3]), unigram).type).toBe('finish');
    expect(decide(job, joint(90, 40), bleus([0.3]), unigram).type).toBe('finish');
  });
});

describe('isDecisionStep', () => {
  const job = parseJob({
    phases: { decoderOnly: { steps: 25 }, joint: { steps: 12 } },
    evaluation: { everySteps: 10 },
  });

  it("is every evaluation's step, each phase's end, and what a fork may begin with beyond it", () => {
    const steps = (of: (step: number) => PhaseState): number[] =>
      Array.from({ length: 40 }, (_, step) => step).filter((step) => isDecisionStep(job, of(step)));
    expect(steps(decoderOnly).slice(0, 5)).toEqual([0, 10, 20, 25, 26]);
    expect(steps((step) => joint(step, 25))).toEqual([0, 10, 20, 30, 37, 38, 39]);
  });
});

describe('totalSteps', () => {
  it('counts the joint steps from the switch, once it has happened', () => {
    expect(totalSteps(jobOf(), decoderOnly(3))).toBe(150);
    expect(totalSteps(jobOf(), joint(70, 60))).toBe(110);
  });
});
