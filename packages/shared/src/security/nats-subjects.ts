import type { Role } from './role.js';

/** Where answers to a role's requests arrive: each role listens to its own, so that none reads or forges another's. */
export function inboxPrefix(role: Role): string {
  return `_INBOX_${role}`;
}
