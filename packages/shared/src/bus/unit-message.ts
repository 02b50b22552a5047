import { SPLIT_NAMES } from '../data/manifest.js';
import { Unit, type UnitId } from '../generated/showtell/v1/unit.js';

/** A unit that names itself and its work. */
export type WholeUnit = Unit & { id: UnitId; work: NonNullable<Unit['work']> };

/** The unit of a message's bytes; null where they are none that can be worked on: whoever takes it would fail. */
export function decodeUnit(bytes: Uint8Array): WholeUnit | null {
  let unit: Unit;
  try {
    unit = Unit.decode(bytes);
  } catch {
    return null;
  }
  const { id, work } = unit;
  if (id === undefined || work === undefined) return null;
  if (work.$case === 'evaluation' && !SPLIT_NAMES.some((name) => name === work.value.split)) return null;
  return { ...unit, id, work };
}
