import { ShowtellError } from '@showtell/shared/errors.js';
import { engineNames, type EngineName } from '@showtell/shared/job/engine-names.js';
import { chooseAutomatically } from '../engine/choose-automatically.js';
import type { CaptionModel } from './load-checkpoint.js';

export type EngineAsked = EngineName | 'auto';

/** @throws ShowtellError `usage/invalid` */
export function parseEngine(text: string, command: string): EngineAsked {
  const known = ['auto', ...engineNames] as const;
  const engine = known.find((name) => name === text);
  if (engine !== undefined) return engine;
  throw new ShowtellError('usage/invalid', { detail: `--engine ${text} is none of ${known.join(', ')}`, command });
}

/**
 * A model that is computed on the engine asked for, whichever trained it; its probabilities differ in their last digits.
 * `auto` tells on standard error what it took and why.
 * @param asked null: the job's engine
 */
export async function onEngine(model: CaptionModel, asked: EngineAsked | null): Promise<CaptionModel> {
  if (asked === null) return model;
  let name: EngineName;
  if (asked === 'auto') {
    const choice = await chooseAutomatically();
    process.stderr.write(`engine ${choice.name}: ${choice.reason}\n`);
    name = choice.name;
  } else name = asked;
  const { job } = model;
  const ofTensorflow = name === 'tensorflow' ? {} : ({ precision: 'float32', device: 'cpu' } as const);
  return { ...model, job: { ...job, engine: { ...job.engine, name, ...ofTensorflow } } };
}
