import type { UnitId } from '../generated/showtell/v1/unit.js';
import type { LogFields } from '../service/log.js';

/** What a log's line says of the unit that it is about. */
export function unitFields({ step, index, lineage, attempt, evaluation }: UnitId): LogFields {
  return { step, unit: index, lineage, attempt, ...(evaluation ? { evaluation } : {}) };
}
