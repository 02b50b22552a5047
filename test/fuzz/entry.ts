import { check } from './target.js';
import { targetNamed } from './targets.js';

/** What jazzer.js calls: the target that main.ts named. */
const target = await targetNamed(process.env['SHOWTELL_FUZZ_TARGET'] ?? '');
// What a target opens for its first input, such as a page's server, is none of the input's time.
for (const seed of Object.values(target.seeds())) await check(target, Buffer.from(seed));

export const fuzz = (input: Buffer): void | Promise<void> => check(target, Buffer.from(input));
