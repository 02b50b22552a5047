import { check } from './target.js';
import { targetNamed } from './targets.js';

/** What jazzer.js calls: the target that main.ts named. */
const target = await targetNamed(process.env['SHOWTELL_FUZZ_TARGET'] ?? '');

export const fuzz = (input: Buffer): void | Promise<void> => check(target, Buffer.from(input));
