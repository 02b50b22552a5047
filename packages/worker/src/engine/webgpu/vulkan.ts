import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { RTLD_NODELETE } from '../tensorflow/addon.js';

/** Where browsers bring a loader of their own, for machines without libvulkan1. */
const loaders = ['/usr/lib/chromium/libvulkan.so.1', '/usr/lib/chromium-browser/libvulkan.so.1'];

/**
 * Makes a Vulkan loader known to this process where the system has none: Dawn looks it up by its name, and finds what is
 * loaded already. On systems without Vulkan nothing is done.
 */
export function loadVulkan(): void {
  if (process.platform !== 'linux') return;
  for (const library of ['libvulkan.so.1', ...loaders.filter((file) => existsSync(file))]) {
    const said = load(library);
    if (!said.includes('cannot open shared object file')) return;
  }
}

/** @returns what Node says of a library that is no addon of its own, which stays loaded nevertheless */
function load(library: string): string {
  const { RTLD_NOW, RTLD_GLOBAL } = constants.dlopen;
  try {
    process.dlopen({ exports: {} }, library, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    return '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
