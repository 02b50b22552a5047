/** Characters of a stranger's value in a message. */
const most = 80;

/**
 * A value of a stranger's file as a message has it: as JSON, cut short. Of what JSON cannot hold (nested too deep, or
 * within itself) only the kind is told.
 */
export function quoted(value: unknown): string {
  let text: unknown;
  try {
    text = JSON.stringify(value);
  } catch {
    return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
  }
  if (typeof text !== 'string') return typeof value;
  return text.length <= most ? text : `${text.slice(0, most)}…`;
}
