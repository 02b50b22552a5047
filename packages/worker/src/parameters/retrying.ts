import { setTimeout as delay } from 'node:timers/promises';
import { isTransient } from '@showtell/shared/rpc/channel.js';

/** How often a call that is safe to repeat is made again when the connection fails. */
const attempts = 4;

/** Makes a call that is safe to repeat again while its failure may pass, after 0.1, 0.2 and 0.4 seconds. */
export async function retrying<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (attempt === attempts || !isTransient(error)) throw error;
      await delay(100 * 2 ** (attempt - 1));
    }
  }
}
