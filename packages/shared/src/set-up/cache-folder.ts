import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The user's cache folder for showtell, shared by all checkouts: `$SHOWTELL_CACHE`, else `$XDG_CACHE_HOME/showtell`,
 * else `~/.cache/showtell`. Not created here. A relative `XDG_CACHE_HOME` is ignored, as the XDG specification asks.
 */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const own = environment['SHOWTELL_CACHE'];
  if (own !== undefined && own !== '') return own;
  const xdg = environment['XDG_CACHE_HOME'];
  return xdg !== undefined && isAbsolute(xdg) ? join(xdg, 'showtell') : join(homedir(), '.cache', 'showtell');
}
