import type { NamedTensor } from '@showtell/shared/tensors/hash.js';
import { type LayoutEntry, type ParameterLayout, tensorView } from '@showtell/shared/tensors/layout.js';
import { type OptimizerState, slotKinds } from '../parameter-server/optimizer.js';

/** Adam's powers, as TensorFlow's checkpoints name them. */
export const powerNames = { beta1: 'beta1_power', beta2: 'beta2_power' } as const;

/** The parameters that an optimizer keeps something of. */
export function trainedEntries(layout: ParameterLayout): LayoutEntry[] {
  return layout.entries.filter(({ segment }) => segment !== 'statistics');
}

/** What an optimizer keeps, under TensorFlow's names: `<parameter><suffix>`, and Adam's powers as scalars. */
export function optimizerTensors(layout: ParameterLayout, { name, slots, powers }: OptimizerState): NamedTensor[] {
  const tensors = slots.flatMap((slot, i) =>
    trainedEntries(layout).map((entry) => ({
      name: `${entry.name}${slotKinds[name][i]?.suffix ?? ''}`,
      shape: entry.shape,
      values: tensorView(slot, entry),
    })),
  );
  const scalar = (name: string, value: number): NamedTensor => ({ name, shape: [], values: Float32Array.of(value) });
  if (powers !== null) tensors.push(scalar(powerNames.beta1, powers.beta1), scalar(powerNames.beta2, powers.beta2));
  return tensors;
}
