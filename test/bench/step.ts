import { instructionSets } from '@showtell/worker/engine/tensorflow/instruction-sets.js';
import type { BenchFigure } from './figure.js';
import { torchPython } from './peers/torch.js';
import { type Measured, best, showtellStep, torchStep } from './run-step.js';

interface Scenario {
  readonly name: string;
  readonly kind: 'joint' | 'frozen' | 'features';
  readonly precision: 'float32' | 'bfloat16';
  /** What PyTorch is run with; the fastest counts. */
  readonly peers: readonly (readonly string[])[];
  readonly target: number;
  readonly steps: number;
}

const joint = ['--phase', 'joint', '--channels-last'];
const frozen = ['--phase', 'decoder', '--channels-last', '--fold-bn'];
const features = ['--phase', 'decoder', '--features'];

const scenarios: readonly Scenario[] = [
  {
    name: 'joint step, 299 px, float32',
    kind: 'joint',
    precision: 'float32',
    peers: [joint, [...joint, '--compile']],
    target: 0.85,
    steps: 6,
  },
  {
    name: 'joint step, 299 px, bfloat16',
    kind: 'joint',
    precision: 'bfloat16',
    peers: [[...joint, '--bf16']],
    target: 1,
    steps: 6,
  },
  {
    name: 'decoder-only step with the encoder running, float32',
    kind: 'frozen',
    precision: 'float32',
    peers: [frozen],
    target: 1,
    steps: 10,
  },
  {
    name: 'decoder-only step with the encoder running, bfloat16',
    kind: 'frozen',
    precision: 'bfloat16',
    peers: [[...frozen, '--bf16']],
    target: 1,
    steps: 10,
  },
  {
    name: 'decoder-only step on cached features, float32',
    kind: 'features',
    precision: 'float32',
    peers: [features],
    target: 1,
    steps: 30,
  },
  {
    name: 'decoder-only step on cached features, bfloat16',
    kind: 'features',
    precision: 'bfloat16',
    peers: [[...features, '--bf16']],
    target: 1,
    steps: 30,
  },
];

/** Rounds of each side; the two take turns, so that what else the machine does meets both. */
const rounds = 2;
const size = 299;

/**
 * A training step of Inception V3, LSTM 512 and 12,000 words at batch 8, beside PyTorch's of the same model, threads and
 * captions. PyTorch's step holds its clipping and SGD, which here are the parameter server's work (`npm run bench --
 * --only exchange`); so its gradient alone is set beside ours too.
 */
export async function* benchStep(): AsyncGenerator<BenchFigure> {
  const python = await torchPython();
  for (const scenario of scenarios) {
    if (scenario.precision === 'bfloat16' && !instructionSets().some((set) => set.endsWith('bf16'))) continue;
    const ours: Measured[] = [];
    const peers: Measured[][] = scenario.peers.map(() => []);
    for (let round = 0; round < rounds; round++) {
      ours.push(await showtellStep({ ...scenario, name: 'inception_v3', size }));
      if (python === null) continue;
      for (const [i, options] of scenario.peers.entries())
        peers[i]?.push(await torchStep(python, options, size, scenario.steps));
    }
    yield* figuresOf(scenario, best(ours), python === null ? null : peers.map(best));
  }
}

function figuresOf({ name, target }: Scenario, ours: Measured, peers: readonly Measured[] | null): BenchFigure[] {
  const command = 'npm run bench -- --only step';
  const smallest = (of: (peer: Measured) => number): number | null =>
    peers === null ? null : Math.min(...peers.map(of));
  const row = (
    what: string,
    value: number,
    peer: number | null,
    limit: number | null,
    unit: 'ms' | 'MiB',
  ): BenchFigure => ({
    name: `${name}${what}`,
    ours: value,
    peer,
    ratio: peer === null ? null : value / peer,
    target: limit,
    unit,
    command,
  });
  return [
    row(
      '',
      ours.step,
      smallest((peer) => peer.step),
      target,
      'ms',
    ),
    row(
      ', gradient alone',
      ours.gradient,
      smallest((peer) => peer.gradient),
      null,
      'ms',
    ),
    row(
      ', peak memory',
      ours.peak,
      smallest((peer) => peer.peak),
      1.5,
      'MiB',
    ),
  ];
}
