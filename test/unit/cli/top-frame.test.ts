import { topFrame, type FrameStyle, type WatchedRun } from '@showtell/coordinator/cli/top-frame.js';
import type { RunStatus } from '@showtell/coordinator/status.js';
import fc from 'fast-check';
import { createColors } from 'picocolors';
import { expect, it } from 'vitest';

const worker = (id: string, more: Partial<RunStatus['workers'][number]> = {}): RunStatus['workers'][number] => ({
  ...{ id, pid: 4242, host: 'node-7', engine: 'tensorflow', units: 830, holding: 2, residentBytes: 613 * 2 ** 20 },
  ...{ doing: 'computes step 417, unit 2', computeSeconds: 1, waitDataSeconds: 0, waitParametersSeconds: 0 },
  presentSeconds: 9,
  shares: { compute: 0.82, data: 0.03, parameters: 0.1, unit: 0.05 },
  ...more,
});
const status: RunStatus = {
  ...{ run: 'scenes-1a2b3c4d', state: 'training', generation: 2, lineage: 1, step: 417, totalSteps: 1500 },
  ...{ phase: 'joint', switchedAt: 300, loss: 1.2345, learningRate: 0.1, imagesPerSecond: 412, etaSeconds: 187 },
  anatomy: { data: 0, compute: 0.24, exchange: 0.03, update: 0.01, wait: 0.04 },
  ...{ evaluation: null, checkpointStep: 400 },
  workers: [worker('worker-10', { doing: 'waits for a unit', shares: null }), worker('worker-2')],
};
const run: WatchedRun = { name: 'runs/a', status, switchStep: 300, losses: [3, 2, 1] };
const style: FrameStyle = { colors: createColors(false), width: 100, unicode: true, height: 24, footer: 'q quit' };

it('shows a run from its state down to its workers', () => {
  expect(topFrame([run], style).map((line) => line.trimEnd())).toEqual([
    'scenes-1a2b3c4d  training  checkpoint at 400  generation 2',
    expect.stringMatching(/^joint .*417\/1500 +27 % {2}3:07 left$/u),
    expect.stringContaining('412 images/s'),
    'no evaluation yet',
    `step 320 ms  ${'█'.repeat(24)}  data 0 %  compute 75 %  wait 13 %  exchange 9 %  update 3 %`,
    'WORKER     NOW                        COMPUTE  DATA  PARAMS  IDLE  DONE  MEMORY   PID  HOST',
    'worker-2   computes step 417, unit 2     82 %   3 %    10 %   5 %   830    613M  4242  node-7',
    'worker-10  waits for a unit                 –     –       –     –   830    613M  4242  node-7',
    'q quit',
  ]);
});

it('says why a run tells nothing, beside others', () => {
  const lines = topFrame([{ ...run, name: 'runs/b', status: 'it does not answer' }, run], style);
  expect(lines.slice(0, 3)).toEqual(['runs/b  it does not answer', '', expect.stringContaining('scenes')]);
});

it('is never wider or higher than the terminal, and keeps names and keys longest', () => {
  fc.assert(
    fc.property(fc.integer({ min: 10, max: 130 }), fc.integer({ min: 3, max: 40 }), fc.nat(30), (width, height, n) => {
      const many = {
        ...run,
        status: { ...status, workers: Array.from({ length: n }, (_, i) => worker(`worker-${i}`)) },
      };
      const lines = topFrame([many, run], { ...style, width, height });
      expect(lines.length).toBeLessThanOrEqual(height);
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      expect(lines[0]).toMatch(/^scenes-1a2/u);
      expect(lines.at(-1)).toBe('q quit');
    }),
  );
});
