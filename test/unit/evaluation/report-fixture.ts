import type { ReportData, ReportEvaluation } from '@showtell/coordinator/evaluation/report-data.js';
import sharp from 'sharp';

/** A run as the demo ends: curves, three milestones and one picture in each of three colours. */
export async function demoReport(): Promise<ReportData> {
  const steps = 1500;
  const switchStep = 300;
  const losses = Array.from({ length: steps }, (_, i) => ({
    step: i + 1,
    loss: 0.6 + 4 / (1 + i / 40) + (i % 7) * 0.02,
  }));
  const evaluations = Array.from({ length: 11 }, (_, i): ReportEvaluation => {
    const joint = Math.max(0, i - 2) / 8;
    return {
      step: i * 150,
      phase: i <= 2 ? 'decoder-only' : 'joint',
      perplexity: i === 0 ? 78 : 4 - 2 * joint,
      bleu1: i === 0 ? 0.03 : 0.44 + 0.3 * joint,
      bleu4: i === 0 ? 0 : 0.22 + 0.23 * joint,
      colorAccuracy: i === 0 ? 0.01 : 0.21 + 0.72 * joint,
      novelty: 0.04,
    };
  });
  const picture = async (imageId: number, color: string, wrong: string) => ({
    imageId,
    jpeg: await sharp({ create: { width: 8, height: 8, channels: 3, background: color } })
      .jpeg()
      .toBuffer(),
    references: [`a large ${color} circle on the left`, `there is a big ${color} circle on the left`],
    captions: [
      { when: 'before training', caption: '', logprob: -38.2 },
      { when: 'after decoder-only', caption: `a large ${wrong} circle in the center`, logprob: -6.3 },
      { when: 'after joint', caption: `a large ${color} circle on the left`, logprob: -2.25 },
    ],
  });
  return {
    run: 'demo',
    folder: 'runs/demo',
    outcome: 'complete',
    reason: null,
    finished: '2026-01-02T03:04:05.000Z',
    steps,
    phases: [
      { phase: 'decoder-only', from: 0, to: switchStep },
      { phase: 'joint', from: switchStep, to: steps },
    ],
    facts: [
      { name: 'job', value: 'demo' },
      { name: 'hash of the parameters', value: '4be1a902', mono: true },
    ],
    seconds: 391,
    losses,
    evaluations,
    baselinePerplexity: 21.4,
    pictures: [
      await picture(101, 'red', 'green'),
      await picture(102, 'blue', 'purple'),
      await picture(103, 'black', 'white'),
    ],
    next: [{ what: 'Caption pictures of yours:', command: 'npx showtell caption --checkpoint runs/demo photo.jpg' }],
  };
}
