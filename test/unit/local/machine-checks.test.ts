import { createColors } from 'picocolors';
import { describe, expect, it } from 'vitest';
import { isAtLeast } from '@showtell/coordinator/local/nats-binary.js';
import { checkInstructions, checkMemory, checkNode } from '@showtell/coordinator/local/machine-checks.js';
import { table } from '@showtell/coordinator/cli/actions/doctor.js';

describe('checks', () => {
  it.each([
    ['18.20.0', 'fail'],
    ['20.18.3', 'fail'],
    ['20.19.0', 'ok'],
    ['22.1.0', 'ok'],
    ['23.5.0', 'warn'],
    ['24.0.0', 'ok'],
  ])('Node %s is %s', (version, state) => {
    expect(checkNode(version).state).toBe(state);
  });

  it('knows whether bfloat16 is native', () => {
    const cpuinfo = (flags: string) => `processor : 0\nflags\t\t: fpu sse4_2 ${flags}\nbugs :\n`;
    expect(checkInstructions('x64', cpuinfo('avx avx2 fma avx512f')).found).toContain('emulated');
    expect(checkInstructions('x64', cpuinfo('avx avx2 fma avx512f avx512_bf16 amx_tile')).found).toBe(
      'avx avx2 fma avx512f avx512_bf16 amx_tile; bfloat16 is native',
    );
    expect(checkInstructions('x64', cpuinfo('')).state).toBe('fail');
    expect(checkInstructions('arm64', '').state).toBe('ok');
  });

  it.each([
    [1e9, 'fail'],
    [4e9, 'warn'],
    [16e9, 'ok'],
  ])('%d bytes of memory are %s', (bytes, state) => {
    expect(checkMemory(bytes).state).toBe(state);
  });
});

it.each([
  ['2.10.0', '2.10.0', true],
  ['2.9.10', '2.10.0', false],
  ['2.12.15', '2.10.0', true],
  ['3.0.0', '2.10.9', true],
  ['2.36', '2.27', true],
])('%s is at least %s: %s', (a, b, expected) => {
  expect(isAtLeast(a, b)).toBe(expected);
});

it('shows a remedy under each line that is not ok, and counts what is to be mended', () => {
  const checks = [
    { name: 'Node', state: 'ok', found: '20.19.0', remedy: 'not shown' },
    { name: 'engine', state: 'fail', found: 'not set up', remedy: 'npx showtell engine setup' },
    { name: 'memory', state: 'warn', found: '4 GB', remedy: 'small' },
  ] as const;
  const text = table(checks, createColors(false));
  expect(text.split('\n')).toEqual([
    'ok    Node    20.19.0',
    'FAIL  engine  not set up',
    '              → npx showtell engine setup',
    'warn  memory  4 GB',
    '              → small',
    '',
    '1 to mend before showtell runs here.',
    '',
  ]);
});
