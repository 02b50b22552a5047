import { describe, expect, it } from 'vitest';
import type { RunEvent } from '@showtell/coordinator/run.js';
import { StatusBoard } from '@showtell/coordinator/status.js';
import type { Worker } from '@showtell/coordinator/workers.js';

const start = {
  run: 'r',
  generation: 2,
  lineage: 1,
  step: 10,
  totalSteps: 40,
  phase: 'decoder-only',
  switchedAt: null,
  checkpointStep: 10,
} as const;

function step(number: number, seconds: number, examples = 32): RunEvent {
  const timing = { wait: 0, sum: 0, update: 0, publish: 0 };
  const counted = { tokens: 9, examples, gradientNorm: 1, clipScale: 1, missing: [], accepted: [], seconds: timing };
  const result = { step: number - 1, loss: 3, ...counted };
  const where = { step: number, totalSteps: 40, examples: number * examples, phase: 'decoder-only' } as const;
  return { type: 'step', ...where, learningRate: 0.5, result, seconds };
}

const worker: Worker = {
  id: 'w',
  pid: 1,
  instance: '',
  host: 'h',
  engine: 'e',
  joinedAt: 0,
  leases: new Map(),
  report: null,
  heardAt: performance.now(),
  shares: null,
};

describe('StatusBoard', () => {
  it('says where the run began, and no rates that nobody has measured', () => {
    expect(new StatusBoard(start).status([], false)).toMatchObject({
      ...start,
      state: 'training',
      loss: null,
      imagesPerSecond: null,
      etaSeconds: null,
      evaluation: null,
      workers: [],
    });
  });

  it('leaves out the first step of a phase, in which workers make ready', () => {
    const board = new StatusBoard(start);
    board.follow(step(11, 1000));
    expect(board.status([], false)).toMatchObject({ step: 11, imagesPerSecond: null, etaSeconds: null });
    board.follow(step(12, 0.5));
    expect(board.status([], false)).toMatchObject({ imagesPerSecond: 64, etaSeconds: 14 });
    board.follow({ type: 'switch', step: 12, reason: '' });
    board.follow(step(13, 1000));
    board.follow(step(14, 2));
    expect(board.status([], false)).toMatchObject({ imagesPerSecond: 16, etaSeconds: 52 });
  });

  it('averages the last twenty steps', () => {
    const board = new StatusBoard(start);
    for (const early of [10, 11]) board.follow(step(early, 1000));
    for (let i = 12; i <= 31; i++) board.follow(step(i, 0.5));
    expect(board.status([worker], true)).toMatchObject({
      state: 'paused',
      step: 31,
      loss: 3,
      learningRate: 0.5,
      imagesPerSecond: 64,
      etaSeconds: 4.5,
      anatomy: { data: 0, compute: 0, exchange: 0, update: 0, wait: 0.5 },
      workers: [{ id: 'w', units: 0, holding: 0, residentBytes: null, shares: null }],
    });
  });

  it('forgets the speed of the other phase at the switch, and goes back at a rollback', () => {
    const board = new StatusBoard(start);
    board.follow(step(11, 1));
    board.follow({ type: 'switch', step: 11, reason: '' });
    expect(board.status([], false)).toMatchObject({ phase: 'joint', switchedAt: 11, imagesPerSecond: null });
    board.follow({ type: 'rollback', step: 20, toStep: 11, reason: '' });
    expect(board.status([], false)).toMatchObject({ phase: 'decoder-only', switchedAt: null, step: 11, lineage: 2 });
    board.follow({ type: 'checkpoint', step: 11, path: '', bytes: 0, seconds: 0 });
    expect(board.status([], false).checkpointStep).toBe(11);
  });
});
