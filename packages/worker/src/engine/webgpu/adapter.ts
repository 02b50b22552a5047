import { hasVulkanDriver, loadVulkan } from './vulkan.js';

/** The GPU that WebGPU gives this process. */
export interface Adapter {
  readonly vendor: string;
  readonly architecture: string;
  /** Its name for people, such as "NVIDIA H200" or "SwiftShader driver 5.0.0". */
  readonly description: string;
}

interface Gpu {
  requestAdapter(): Promise<{ readonly info: Adapter } | null>;
}

let found: Promise<Adapter | null> | undefined;

/**
 * Opens Dawn (npm's `webgpu`) once a thread and makes it known where tfjs looks for it, as `navigator.gpu`.
 * @returns null when there is no adapter
 */
export function openAdapter(): Promise<Adapter | null> {
  found ??= open();
  return found;
}

async function open(): Promise<Adapter | null> {
  if (!hasVulkanDriver()) return null;
  loadVulkan();
  const { create, globals } = await import('webgpu');
  Object.assign(globalThis, globals);
  const gpu = create([]) as unknown as Gpu;
  // Node has had a `navigator` of its own since version 21.
  const scope = globalThis as { navigator?: object };
  if (scope.navigator === undefined) Object.defineProperty(scope, 'navigator', { value: {}, configurable: true });
  Object.defineProperty(scope.navigator, 'gpu', { value: gpu, configurable: true });
  const adapter = await gpu.requestAdapter();
  if (adapter === null) return null;
  const { vendor, architecture, description } = adapter.info;
  return { vendor, architecture, description };
}
