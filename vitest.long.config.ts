import { defineConfig } from 'vitest/config';

/** What takes longer than continuous integration has: many seeds, full sizes. */
export default defineConfig({
  test: {
    include: ['test/long/**/*.test.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 1,
    env: { TF_CPP_MIN_LOG_LEVEL: '2' },
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
