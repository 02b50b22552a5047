import type { Engine, GradientBuffers, StepResult, TrainingBatch, TrainingPhase } from '../engine/engine.js';
import type { PreparedUnit } from '../input/prepare-unit.js';

/**
 * A training unit with the engine's present parameters: the mean loss per word and its gradients, into `into`.
 *
 * @param features `[B, F]` of the frozen encoder; in the joint phase null, and the unit has all its pictures
 */
export function trainUnit(
  engine: Engine,
  unit: PreparedUnit,
  phase: TrainingPhase,
  features: Float32Array | null,
  into: GradientBuffers,
): Promise<StepResult> {
  return engine.gradientStep(batchOf(unit, phase, features), into);
}

function batchOf(unit: PreparedUnit, phase: TrainingPhase, features: Float32Array | null): TrainingBatch {
  const { captions, dropout } = unit;
  if (dropout === null) throw new TypeError('an evaluation unit was given for training');
  const lstm = { inputs: dropout.inputs, outputs: dropout.outputs };
  if (phase === 'joint') {
    if (unit.imageOf.length !== captions.B) throw new TypeError('a joint step needs every picture');
    return { ...captions, phase, dropout: lstm, images: unit.images, featureDropout: dropout.features };
  }
  if (features === null) throw new TypeError('a decoder-only step needs features');
  return { ...captions, phase, dropout: lstm, features };
}
