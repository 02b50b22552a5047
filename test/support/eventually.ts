import { setTimeout as delay } from 'node:timers/promises';

/** Waits until `condition` holds. @throws naming `what` after `withinMs` */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 15_000,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`within ${withinMs} ms it did not come to this: ${what}`);
    await delay(10);
  }
}
