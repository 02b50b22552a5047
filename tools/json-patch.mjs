// What makes one value another, as JSON Patch (RFC 6902), for kustomize.
import { isDeepStrictEqual } from 'node:util';

const step = (key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1');
const isGroup = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Operations in an order in which they can be applied. What is added to a list is inserted, so that what another patch
 * appends to it stays; at its end it is appended.
 */
export function jsonPatch(before, after, path = '') {
  if (isDeepStrictEqual(before, after)) return [];
  if (isGroup(before) && isGroup(after)) return groupPatch(before, after, path);
  if (Array.isArray(before) && Array.isArray(after)) {
    const inserted = insertions(before, after, path);
    if (inserted !== null) return inserted;
    if (before.length === after.length)
      return before.flatMap((each, index) => jsonPatch(each, after[index], `${path}/${index}`));
  }
  return [{ op: 'replace', path, value: after }];
}

function groupPatch(before, after, path) {
  const removed = Object.keys(before).filter((key) => !(key in after));
  return [
    ...removed.map((key) => ({ op: 'remove', path: `${path}/${step(key)}` })),
    ...Object.entries(after).flatMap(([key, value]) => {
      const at = `${path}/${step(key)}`;
      return key in before ? jsonPatch(before[key], value, at) : [{ op: 'add', path: at, value }];
    }),
  ];
}

/** Null where the list is more than the one before with elements put between its own. */
function insertions(before, after, path) {
  const added = [];
  let kept = 0;
  after.forEach((value, index) => {
    if (kept < before.length && isDeepStrictEqual(value, before[kept])) kept++;
    else added.push({ op: 'add', path: `${path}/${kept === before.length ? '-' : index}`, value });
  });
  return kept === before.length ? added : null;
}
