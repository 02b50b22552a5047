/** The part of the WebAssembly namespace that is used here; Node's types have none of it. */
declare const WebAssembly: {
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => {
    readonly buffer: SharedArrayBuffer;
  };
};

const page = 65_536;

/**
 * Zeroed memory that threads share, beginning on a page of at least 4 KiB. TensorFlow computes in place only on
 * memory that begins at a multiple of 64 bytes and copies everything else, and `new SharedArrayBuffer` gives what the
 * allocator happens to give; a shared WebAssembly memory is aligned by its specification.
 *
 * @returns `bytes` rounded up to a multiple of 64 KiB, so take views with a length
 */
export function allocateShared(bytes: number): SharedArrayBuffer {
  const pages = Math.max(1, Math.ceil(bytes / page));
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
}
