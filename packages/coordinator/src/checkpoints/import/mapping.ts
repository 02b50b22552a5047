import { type LeftOverReason, leftOverReason, ownName } from '../tensorflow/names.js';
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

/** Finds each wanted variable by its name, or by a name that earlier versions of TensorFlow gave it. */
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
  const leftOver = [...stored.values()]
    .flat()
    .map((variable) => ({ stored: variable, reason: leftOverReason(variable.own ?? variable.name) }));
  return { ...mapping, leftOver };
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
export function problemsOf({ unfit, missing }: Mapping): string[] {
  return [
    ...missing.map(({ name }) => `${name} is missing`),
    ...unfit.map(({ name, problem }) => `${name} ${problem}`),
  ];
}
