/** What computes: compiled TensorFlow graphs, any GPU by WebGPU, or WebAssembly from npm alone. */
export const engineNames = ['tensorflow', 'webgpu', 'wasm'] as const;
export type EngineName = (typeof engineNames)[number];
