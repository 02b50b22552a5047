import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/long/**', '**/node_modules/**'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // TensorFlow takes every core by itself: two test files at a time on two cores starve each other.
    pool: 'forks',
    maxWorkers: 1,
    env: { TF_CPP_MIN_LOG_LEVEL: '2' },
    reporters: ['default', './test/support/closing-line.ts'],
  },
});
