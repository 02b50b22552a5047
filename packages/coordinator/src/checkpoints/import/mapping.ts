import { sizeOf } from '@showtell/shared/tensors/layout.js';
import { type LeftOverReason, leftOverReason, objectGraph, ownName } from '../tensorflow/names.js';
import type { StoredVariable, VariableSource } from '../variable-source.js';

/** A variable that a model wants. */
interface Wanted {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface MatchedVariable extends Wanted {
  readonly stored: StoredVariable;
}

export interface LeftOverVariable {
  readonly stored: StoredVariable;
  readonly reason: LeftOverReason;
}

/** Which variables of a file become which of a model, and all that do not. */
export interface Mapping {
  readonly matched: readonly MatchedVariable[];
  /** Of the same name, and yet not the model's. */
  readonly unfit: readonly { readonly name: string; readonly stored: StoredVariable; readonly problem: string }[];
  readonly missing: readonly Wanted[];
  readonly leftOver: readonly LeftOverVariable[];
}

const floats = new Set(['float32', 'float16', 'bfloat16', 'float64', 'uint8 · scale + min', 'uint16 · scale + min']);

/**
 * Finds each wanted variable by its name, or by a name that earlier versions of TensorFlow gave it.
 * @throws ShowtellError when a batch norm's scale is there and cannot be read
 */
export function mapVariables(source: VariableSource, wanted: readonly Wanted[]): Mapping {
  const stored = new Map<string, StoredVariable[]>();
  for (const variable of source.variables) {
    const name = variable.own ?? ownName(variable.name);
    stored.set(name, [...(stored.get(name) ?? []), variable]);
  }
  const mapping = {
    matched: [] as MatchedVariable[],
    unfit: [] as Mapping['unfit'][number][],
    missing: [] as Wanted[],
  };
  for (const { name, shape } of wanted) {
    const [found, ...others] = stored.get(name) ?? [];
    stored.delete(name);
    if (found === undefined) {
      mapping.missing.push({ name, shape });
      continue;
    }
    const problem = problemOf(found, shape, others);
    if (problem === null) mapping.matched.push({ name, shape, stored: found });
    else mapping.unfit.push({ name, stored: found, problem });
  }
  const model = new Set(wanted.map(({ name }) => name));
  const leftOver: LeftOverVariable[] = [];
  for (const variable of [...stored.values()].flat()) {
    const name = variable.own ?? ownName(variable.name);
    const norm = /^(.+\/BatchNorm)\/gamma$/.exec(name)?.[1];
    if (norm === undefined || !model.has(`${norm}/beta`))
      leftOver.push({ stored: variable, reason: leftOverReason(name, (one) => model.has(one)) });
    else if (isOnes(variable)) leftOver.push({ stored: variable, reason: 'batch norm scale of 1' });
    else mapping.unfit.push({ name, stored: variable, problem: 'scales its batch norm, which no net of im2txt does' });
  }
  return { ...mapping, leftOver };
}

function isOnes(variable: StoredVariable): boolean {
  if (!variable.numeric) return false;
  const values = new Float32Array(sizeOf(variable.shape));
  variable.read(values);
  return values.every((value) => value === 1);
}

function problemOf(found: StoredVariable, shape: readonly number[], others: readonly StoredVariable[]): string | null {
  if (others.length > 0)
    return `stands there under several names: ${[found, ...others].map(({ name }) => name).join(', ')}`;
  if (found.shape.join() !== shape.join()) return `has shape ${shapeText(found.shape)} instead of ${shapeText(shape)}`;
  if (!found.numeric || !floats.has(found.type)) return `is ${found.type}, not a floating-point type that is read here`;
  return null;
}

export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}

/** Everything that keeps a file from being read as the model, in words. */
export function problemsOf({ unfit, missing, leftOver }: Mapping): string[] {
  const found = new Set(leftOver.map(({ stored }) => ownName(stored.name)));
  const missingText = (name: string): string =>
    found.has(`${name}/part_0`)
      ? `${name} is there in parts that were saved each for itself (${name}/part_0 …): give a Saver the list of variables, not a dictionary`
      : `${name} is missing`;
  return [
    ...(found.has(objectGraph)
      ? ['its names are those of Python objects (tf.train.Checkpoint): save it by tf.compat.v1.train.Saver']
      : []),
    ...missing.map(({ name }) => missingText(name)),
    ...unfit.map(({ name, problem }) => `${name} ${problem}`),
  ];
}
