/** What any parser may take at once, such as a buffer to read through. */
const freeBytes = 8 * 1_048_576;
/** Of the input's length: Snappy unpacks to 22 times as much, and bytes become float32. */
const ratio = 128;

const kinds = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'Uint8Array',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
] as const;
type Allocating = Record<(typeof kinds)[number], new (...given: unknown[]) => object>;

/** Refuses arrays that are larger than the input explains, when they are asked for: the system gives pages later. */
export class AllocationGuard {
  #most = Infinity;
  #refused: AllocationError | null = null;

  constructor() {
    const all = globalThis as unknown as Allocating;
    for (const kind of kinds) {
      const element = (all[kind] as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
      all[kind] = new Proxy(all[kind], {
        construct: (target, given: unknown[], asked) => {
          const [length] = given;
          if (typeof length === 'number') this.#check(length * element);
          return Reflect.construct(target, given, asked) as object;
        },
      });
    }
    for (const name of ['alloc', 'allocUnsafe', 'allocUnsafeSlow'] as const) {
      const own = Buffer[name].bind(Buffer) as (...given: unknown[]) => Buffer<ArrayBuffer>;
      Buffer[name] = (length: number, ...more: unknown[]) => {
        this.#check(length);
        return own(length, ...more);
      };
    }
  }

  begin(inputBytes: number): void {
    this.#most = freeBytes + ratio * inputBytes;
    this.#refused = null;
  }

  /** @throws AllocationError when an array was refused, whatever became of that error */
  end(): void {
    this.#most = Infinity;
    if (this.#refused !== null) throw this.#refused;
  }

  #check(bytes: number): void {
    if (bytes <= this.#most) return;
    this.#refused = new AllocationError(`${bytes} bytes are asked for at once, of at most ${this.#most}`);
    throw this.#refused;
  }
}

/** No RangeError: those are caught where bytes are parsed. */
class AllocationError extends Error {
  override readonly name = 'AllocationError';
}
