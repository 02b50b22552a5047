import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { fromBfloat16 } from '@showtell/shared/tensors/bfloat16.js';
import { type BodyPart, bytesOf, dtypeOf } from '@showtell/shared/tensors/gradient-body.js';
import { type SegmentName, segmentNames } from '@showtell/shared/tensors/layout.js';
import { headerBytes } from '@showtell/shared/tensors/version-file.js';
import { WorkArea } from '@showtell/shared/tensors/work-area.js';
import type {
  BlockAnswer,
  BlockJob,
  BlockSetup,
  LeafRows,
  LeafSource,
  OwnedBlock,
  PublishJob,
  SumJob,
  UpdateJob,
} from './block-jobs.js';

/**
 * The work on the blocks that one thread owns, a block at a time so that it stays in the processor's cache between
 * reading, arithmetic and writing.
 */
export class BlockWork {
  readonly #setup: BlockSetup;
  readonly #squares: Float64Array;
  readonly #area = new WorkArea();
  readonly #rings = new Map<SegmentName, number[]>();

  constructor(setup: BlockSetup) {
    this.#setup = setup;
    this.#squares = new Float64Array(setup.squares);
    if (setup.rings !== null)
      for (const segment of segmentNames)
        this.#rings.set(
          segment,
          setup.rings[segment].map((file) => openSync(file, constants.O_WRONLY)),
        );
  }

  run(job: BlockJob): BlockAnswer {
    switch (job.kind) {
      case 'sum':
        return this.#sum(job);
      case 'update':
        return this.#update(job);
      case 'publish':
        return this.#publish(job);
    }
  }

  close(): void {
    for (const fd of [...this.#rings.values()].flat()) closeSync(fd);
    this.#rings.clear();
  }

  #sum(job: SumJob): BlockAnswer {
    const fd = job.leaf.kind === 'file' ? openLeaf(job.leaf.path) : -1;
    if (fd === null) return { kind: 'missing' };
    try {
      for (const block of this.#setup.blocks) {
        if (!job.segments.includes(block.segment)) continue;
        if (!this.#sumBlock(job, block, fd)) return { kind: 'not-finite', tensor: block.tensor };
      }
    } finally {
      if (fd >= 0) closeSync(fd);
    }
    return { kind: 'done' };
  }

  #sumBlock(job: SumJob, block: OwnedBlock, fd: number): boolean {
    const { size, segment, offset } = block;
    const area = this.#area;
    const empty = isEmpty(job.leaf, block);
    const decay = job.average === null || !block.decays ? 0 : job.average.l2;
    const zero = empty && decay === 0 && job.siblings.every((sibling) => this.#isZero(sibling, block));
    this.#marks(job.out)[block.id] = zero ? 1 : 0;
    if (zero) {
      this.#squares[block.id] = 0;
      return true;
    }
    if (empty) area.values.fill(0, 0, size);
    else this.#readLeaf(job.leaf, block, fd);
    if (!empty && !area.weigh(job.weight, size)) return false;
    const start = (this.#setup.sumOffsets[segment] + offset) * 4;
    for (const sibling of job.siblings) {
      // Adding +0 is not left out: it makes +0 of -0.
      if (this.#isZero(sibling, block)) area.other.fill(0, 0, size);
      else area.other.set(new Float32Array(sibling, start, size));
      area.add(size);
    }
    if (job.average !== null) {
      area.divide(job.average.weight, size);
      if (segment !== 'statistics') {
        if (decay !== 0) {
          area.other.set(new Float32Array(job.average.parameters[segment], offset * 4, size));
          area.addDecay(decay, size);
        }
        this.#squares[block.id] = area.sumOfSquares(size);
      }
    }
    new Float32Array(job.out, start, size).set(area.values.subarray(0, size));
    return true;
  }

  #marks(sum: SharedArrayBuffer): Uint8Array {
    return new Uint8Array(sum, this.#setup.marksOffset);
  }

  #isZero(sum: SharedArrayBuffer, block: OwnedBlock): boolean {
    return this.#marks(sum)[block.id] === 1;
  }

  /** Brings a block of the leaf into the area's values as float32. */
  #readLeaf(leaf: LeafSource, block: OwnedBlock, fd: number): void {
    const into = this.#area.values;
    if (leaf.kind === 'zero') return;
    const part = leaf.parts.find(({ segment }) => segment === block.segment);
    if (part !== undefined) this.#read(leaf, fd, part, block.offset, block.size, into);
    else this.#readRows(leaf, fd, block);
  }

  /** Rows the unit did not touch are +0, as in the dense gradient. */
  #readRows(leaf: LeafSource, fd: number, block: OwnedBlock): void {
    const into = this.#area.values;
    into.fill(0, 0, block.size);
    if (leaf.kind === 'zero' || leaf.rows === null) return;
    const { numbers, width } = leaf.rows;
    const end = block.place + block.size;
    const [first, after] = rowsWithin(leaf.rows, block);
    for (let i = first; i < after; i++) {
      const start = (numbers[i] as number) * width;
      const from = Math.max(start, block.place);
      const elements = Math.min(start + width, end) - from;
      if (elements <= 0) continue;
      this.#read(leaf, fd, leaf.rows, i * width + from - start, elements, into.subarray(from - block.place));
    }
  }

  #read(leaf: LeafSource, fd: number, part: BodyPart | LeafRows, element: number, n: number, into: Float32Array): void {
    const size = bytesOf(part.dtype);
    const position = part.offset + element * size;
    const { bfloat16 } = this.#area;
    const target =
      part.dtype === 'float32'
        ? new Uint8Array(into.buffer, into.byteOffset, n * 4)
        : new Uint8Array(bfloat16.buffer, bfloat16.byteOffset, n * 2);
    if (leaf.kind === 'memory') target.set(new Uint8Array(leaf.memory, position, n * size));
    else if (leaf.kind === 'file') readWhole(fd, target, position);
    if (part.dtype === 'float32') return;
    if (into === this.#area.values) this.#area.widen(n);
    else fromBfloat16(bfloat16.subarray(0, n), into);
  }

  #update(job: UpdateJob): BlockAnswer {
    for (const block of this.#setup.blocks) {
      if (!job.segments.includes(block.segment)) continue;
      const { segment, offset, size } = block;
      const area = this.#area;
      area.values.set(new Float32Array(job.current[segment], offset * 4, size));
      const unmoved = this.#isZero(job.gradient, block);
      if (unmoved) area.other.fill(0, 0, size);
      else area.other.set(new Float32Array(job.gradient, (this.#setup.sumOffsets[segment] + offset) * 4, size));
      if (segment === 'statistics') area.moveAverages(job.decay, size);
      else this.#descend(job, block);
      new Float32Array(job.next[segment], offset * 4, size).set(area.values.subarray(0, size));
      this.#writeRing(job.ring, block);
    }
    return { kind: 'done' };
  }

  /** The optimizer's rule on the area's values and gradient. A gradient of zero is one: means of gradients fade by it. */
  #descend({ rule, scale, slots, nextSlots }: UpdateJob, { segment, offset, size }: OwnedBlock): void {
    const area = this.#area;
    const kept = [area.third, area.fourth];
    for (const [i, slot] of slots.entries()) kept[i]?.set(new Float32Array(slot[segment], offset * 4, size));
    switch (rule.kind) {
      case 'sgd':
        area.descend(scale, rule.rate, size);
        break;
      case 'momentum':
        area.descendWithMomentum(scale, rule.rate, rule.momentum, size);
        break;
      case 'rmsprop':
        area.descendWithRmsprop(scale, rule.rate, rule, size);
        break;
      case 'adam':
        area.descendWithAdam(scale, rule.rate, rule, size);
        break;
      case 'adagrad':
        area.descendWithAdagrad(scale, rule.rate, size);
    }
    for (const [i, slot] of nextSlots.entries())
      new Float32Array(slot[segment], offset * 4, size).set((kept[i] ?? area.third).subarray(0, size));
  }

  #publish(job: PublishJob): BlockAnswer {
    for (const block of this.#setup.blocks) {
      if (!job.segments.includes(block.segment)) continue;
      this.#area.values.set(new Float32Array(job.parameters[block.segment], block.offset * 4, block.size));
      this.#writeRing(job.ring, block);
    }
    return { kind: 'done' };
  }

  /** Writes the block in the area's values to shared memory, as workers are to have it. */
  #writeRing(ring: UpdateJob['ring'], { segment, offset, size }: OwnedBlock): void {
    const fd = this.#rings.get(segment)?.[ring?.[segment] ?? -1];
    if (fd === undefined) return;
    const dtype = dtypeOf(segment, this.#setup.wire);
    const { values, bfloat16 } = this.#area;
    if (dtype === 'bfloat16') this.#area.narrow(size);
    const from = dtype === 'float32' ? values : bfloat16;
    const bytes = size * bytesOf(dtype);
    writeSync(fd, new Uint8Array(from.buffer, from.byteOffset, bytes), 0, bytes, headerBytes + offset * bytesOf(dtype));
  }
}

/** Whether the leaf is +0 throughout the block: no example counted, or none of its rows lies there. */
function isEmpty(leaf: LeafSource, block: OwnedBlock): boolean {
  if (leaf.kind === 'zero') return true;
  if (leaf.parts.some(({ segment }) => segment === block.segment)) return false;
  if (leaf.rows === null) return true;
  const [first, after] = rowsWithin(leaf.rows, block);
  return first === after;
}

/** Positions of the first row that reaches into the block and of the first one behind it. */
function rowsWithin({ numbers, width }: LeafRows, block: OwnedBlock): [number, number] {
  const end = block.place + block.size;
  return [firstAtLeast(numbers, Math.floor(block.place / width)), firstAtLeast(numbers, Math.ceil(end / width))];
}

/** Index of the first number that is at least `bound`. */
function firstAtLeast(numbers: Uint32Array, bound: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

function readWhole(fd: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length;) {
    const read = readSync(fd, into, done, into.length - done, position + done);
    if (read === 0) throw new Error(`the slot ends at byte ${position + done}`);
    done += read;
  }
}

/** @returns null when the file is not there */
function openLeaf(file: string): number | null {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
