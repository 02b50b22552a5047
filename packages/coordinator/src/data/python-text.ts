/**
 * Python's character classes for regular expressions with the `u` flag, where JavaScript's `\s`, `\w` and `\d` differ:
 * the sources of rules taken over from Python must mean the same here.
 */

/** What `str.isspace` holds for, to stand within brackets. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** `\w`: letters and numbers, but no combining marks, to stand within brackets. */
export const WORD = '\\p{L}\\p{N}_';

/** `\d`. */
export const DIGIT = '\\p{Nd}';

const spaces = new RegExp(`[${SPACE}]+`, 'u');
const trailingSpace = new RegExp(`[${SPACE}]+$`, 'u');

/** `str.split()`. */
export function splitOnSpace(text: string): string[] {
  return text.split(spaces).filter((part) => part !== '');
}

/** `str.rstrip()`. */
export function trimEnd(text: string): string {
  return text.replace(trailingSpace, '');
}
