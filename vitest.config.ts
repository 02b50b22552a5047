import { defineConfig } from 'vitest/config';
import Sequencer from './test/support/sequencer.js';

/**
 * Files of these wait for other programs much of the time: two at a time keep two cores busy, and three take as long. A GPU
 * made of software and the fault laboratory take every core by themselves; pages and costs are timed.
 */
const besideOthers = [
  ...['determinism', 'docs', 'e2e', 'engines', 'fuzz', 'images', 'integration', 'kube'],
  ...['observability', 'parity', 'protocol', 'unit'],
].map((folder) => `test/${folder}/**/!(webgpu*|costs).test.ts`);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    env: { TF_CPP_MIN_LOG_LEVEL: '2' },
    sequence: { sequencer: Sequencer },
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      { extends: true, test: { name: 'beside', include: besideOthers, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: [...besideOthers, 'test/long/**', '**/node_modules/**'],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
