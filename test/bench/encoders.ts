import { type EncoderName, encoders } from '@showtell/shared/model/parameters.js';
import { instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import type { BenchFigure } from './figure.js';
import { timmPython } from './peers/torch.js';
import { type Measured, best, showtellStep, torchStep } from './run-step.js';

/** Rounds of each side, taking turns. */
const rounds = 2;

/** Nets that PyTorch's libraries have: torchvision's GoogLeNet (with batch norm) and V3, timm's Inception-ResNet-v2. */
const inPyTorch: readonly EncoderName[] = ['inception_v1', 'inception_v3', 'inception_resnet_v2'];

/**
 * The gradient of a joint step of each encoder at the size it was made for, batch 8, beside PyTorch's where that has the
 * net. bfloat16 only where the processor has it.
 */
export async function* benchEncoders(): AsyncGenerator<BenchFigure> {
  const python = await timmPython();
  const hasBfloat16 = instructionSets().some((set) => set.endsWith('bf16'));
  if (!hasBfloat16) console.error('this processor has no bfloat16 instructions: float32 only');
  for (const name of Object.keys(encoders) as EncoderName[])
    for (const precision of hasBfloat16 ? (['float32', 'bfloat16'] as const) : (['float32'] as const))
      yield* await benchEncoder(name, precision, inPyTorch.includes(name) ? python : null);
}

async function benchEncoder(
  name: EncoderName,
  precision: 'float32' | 'bfloat16',
  python: string | null,
): Promise<BenchFigure[]> {
  const size = encoders[name].nativeSize;
  const steps = name === 'inception_resnet_v2' ? 3 : 6;
  const options = ['--phase', 'joint', '--channels-last', '--encoder', name];
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await showtellStep({ name, size, kind: 'joint', precision, steps }));
    if (python === null) continue;
    theirs.push(await torchStep(python, precision === 'bfloat16' ? [...options, '--bf16'] : options, size, steps));
  }
  const [own, peer] = [best(ours), theirs.length === 0 ? null : best(theirs)];
  const figure = (what: string, ours: number, peer: number | null, unit: 'ms' | 'MiB'): BenchFigure => ({
    name: `${name}, joint, ${size} px, ${precision}${what}`,
    ours,
    peer,
    ratio: peer === null ? null : ours / peer,
    target: null,
    unit,
    command: 'npm run bench -- --only encoders',
  });
  return [
    figure(', gradient alone', own.gradient, peer?.gradient ?? null, 'ms'),
    figure(', peak memory', own.peak, peer?.peak ?? null, 'MiB'),
  ];
}
