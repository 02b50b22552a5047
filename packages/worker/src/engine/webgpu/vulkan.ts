import { existsSync, readdirSync } from 'node:fs';
import { constants, homedir } from 'node:os';
import { join } from 'node:path';
import { RTLD_NODELETE } from '../tensorflow/addon.js';

/** Where browsers bring a loader of their own, for machines without libvulkan1. */
const loaders = ['/usr/lib/chromium/libvulkan.so.1', '/usr/lib/chromium-browser/libvulkan.so.1'];

/** Where drivers state themselves, as the loader looks for them. */
const driverFolders = ['/etc/vulkan/icd.d', '/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

/** Whether a Vulkan driver is installed, or named by the environment; without one Dawn would only complain. */
export function hasVulkanDriver(): boolean {
  if (process.platform !== 'linux') return true;
  const named = [process.env['VK_DRIVER_FILES'], process.env['VK_ICD_FILENAMES']];
  if (named.some((files) => files !== undefined && files !== '')) return true;
  const own = join(process.env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'vulkan', 'icd.d');
  return [...driverFolders, own].some((folder) => existsSync(folder) && readdirSync(folder).length > 0);
}

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
