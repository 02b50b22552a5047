import { defineConfig } from 'vitest/config';
import Sequencer from './test/support/sequencer.js';

/**
 * Files of these wait for other programs, or compute on one thread: two at a time are not in each other's way. A GPU made
 * of software takes every core.
 */
const besideOthers = ['docs', 'e2e', 'engines', 'fuzz', 'integration', 'kube', 'parity', 'protocol', 'unit'].map(
  (folder) => `test/${folder}/**/!(webgpu*).test.ts`,
);

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
          // Runs of several workers take every core by themselves, and pages are timed.
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
