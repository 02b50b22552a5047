import { expect, it } from 'vitest';
import { canBfloat16, instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';

it.each([
  ['x64 avx2 fma', false],
  ['x64 avx2 fma avx512f', false],
  ['x64 avx2 fma avx512f avx512bw', true],
  ['x64 avx2 fma avx_ne_convert', true],
  ['arm64 asimd', true],
] as const)('%s: bfloat16 %s', (sets, can) => {
  expect(canBfloat16(sets.split(' '))).toBe(can);
});

it('of this machine begin with its architecture', () => {
  expect(instructionSets()[0]).toBe(process.arch);
});
