import { afterEach, expect, it, vi } from 'vitest';
import { terminalPresenter } from '@showtell/coordinator/cli/present.js';
import { parseJob } from '@showtell/shared/job/load-job.js';

const wasTerminal = process.stdout.isTTY;

afterEach(() => {
  vi.restoreAllMocks();
  process.stdout.isTTY = wasTerminal;
});

it.each([true, false])('shows the evaluation before the first step, on a terminal: %s', (isTTY) => {
  let text = '';
  process.stdout.isTTY = isTTY;
  vi.spyOn(process.stdout, 'write').mockImplementation((piece) => {
    text += String(piece);
    return true;
  });
  const presenter = terminalPresenter(2, parseJob({ preset: 'demo' }));
  const scores = { lossPerWord: 5, words: 10, perplexity: 148.4, captions: null };
  presenter.show({ type: 'evaluation', step: 0, phase: 'decoder-only', scores, seconds: 1, images: null });
  presenter[Symbol.dispose]();
  vi.restoreAllMocks();
  expect(text).toContain('0/1900');
  expect(text).toContain('148');
});
