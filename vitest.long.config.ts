import { defineConfig, mergeConfig } from 'vitest/config';
import usual from './vitest.config.js';

/** What takes longer than continuous integration has: many seeds, full sizes. */
export default mergeConfig(
  { ...usual, test: { ...usual.test, include: [], exclude: ['**/node_modules/**'] } },
  defineConfig({ test: { include: ['test/long/**/*.test.ts'], testTimeout: 3_600_000 } }),
);
