import { defineConfig } from 'vitest/config';
import Sequencer from './test/support/sequencer.js';

/** Of nothing but values: one process for many files, for half of what they cost is to begin one and to load its modules. */
const values = ['test/unit/**/*.test.ts'];

/**
 * Files of these wait for other programs much of the time: two at a time keep two cores busy, and three take as long.
 * Pages and costs are timed.
 */
const besideOthers = [
  ...['determinism', 'docs', 'e2e', 'engines', 'faults', 'fuzz', 'images', 'integration', 'kube'],
  ...['observability', 'parity', 'protocol'],
].map((folder) => `test/${folder}/**/!(costs).test.ts`);

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    env: { TF_CPP_MIN_LOG_LEVEL: '2' },
    sequence: { sequencer: Sequencer },
    reporters: ['default', './test/support/closing-line.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'values', include: values, isolate: false, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      { extends: true, test: { name: 'beside', include: besideOthers, maxWorkers: 2, sequence: { groupOrder: 0 } } },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: [...values, ...besideOthers, 'test/long/**', '**/node_modules/**'],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
