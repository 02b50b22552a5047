import { type Mapping, shapeText } from './mapping.js';

/** A mapping as JSON: what `--json` prints and the checkpoint's folder keeps. */
export interface MappingReport {
  readonly matched: readonly MappedRow[];
  readonly missing: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly unfit: readonly (MappedRow & { readonly problem: string })[];
  readonly leftOver: readonly (Omit<MappedRow, 'from'> & { readonly reason: string })[];
}

interface MappedRow {
  readonly name: string;
  /** Its name in the file. */
  readonly from: string;
  readonly shape: readonly number[];
  /** As stored; what is not float32 was converted. */
  readonly type: string;
  /** Pieces it was stored in. */
  readonly slices: number;
}

export function mappingReport({ matched, missing, unfit, leftOver }: Mapping): MappingReport {
  return {
    matched: matched.map(({ name, stored: { name: from, shape, type, slices } }) => ({
      name,
      from,
      shape,
      type,
      slices,
    })),
    missing,
    unfit: unfit.map(({ name, problem, stored: { name: from, shape, type, slices } }) => ({
      ...{ name, from, shape, type, slices },
      problem,
    })),
    leftOver: leftOver.map(({ reason, stored: { name, shape, type, slices } }) => ({
      name,
      shape,
      type,
      slices,
      reason,
    })),
  };
}

/** A line a variable, and a line of counts at the end. */
export function mappingLines({ matched, missing, unfit, leftOver }: MappingReport): string[] {
  const converted = matched.filter(({ type }) => type !== 'float32');
  const partitioned = matched.filter(({ slices }) => slices > 1);
  return [
    ...matched.map((row) => `matched    ${row.name} ${shapeText(row.shape)}${notes(row)}`),
    ...missing.map(({ name, shape }) => `missing    ${name} ${shapeText(shape)}`),
    ...unfit.map(({ name, problem }) => `unfit      ${name}: ${problem}`),
    ...leftOver.map(({ name, shape, reason }) => `left over  ${name} ${shapeText(shape)}: ${reason}`),
    `${matched.length} matched (${converted.length} converted to float32, ${partitioned.length} put together from slices), ` +
      `${missing.length} missing, ${unfit.length} unfit, ${leftOver.length} left over`,
  ];
}

function notes({ name, from, type, slices }: MappedRow): string {
  const all = [
    ...(from === name ? [] : [`from ${from}`]),
    ...(type === 'float32' ? [] : [`${type} to float32`]),
    ...(slices === 1 ? [] : [`${slices} slices`]),
  ];
  return all.length === 0 ? '' : ` (${all.join(', ')})`;
}
