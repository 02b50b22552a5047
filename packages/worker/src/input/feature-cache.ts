import { closeSync, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { maskedCrc32c } from '@showtell/shared/data/tfrecord.js';

/** Names a picture by what its records say and what its bytes are, so that equal ids in two data sets do no harm. */
export interface PictureKey {
  readonly imageId: number;
  /** Length of the JPEG. */
  readonly bytes: number;
  /** Masked CRC-32C of the JPEG. */
  readonly crc: number;
}

/**
 * Features of pictures under one frozen encoder. What it gives is what was put, to the bit, or null; it may forget.
 */
export interface FeatureCache extends Disposable {
  /** @returns `[F]`, not to be written to; null when it isn't there or is damaged */
  find(picture: PictureKey): Float32Array | null;
  put(picture: PictureKey, feature: Float32Array): void;
}

export function openMemoryCache(): FeatureCache {
  const features = new Map<string, Float32Array>();
  return {
    find: (picture) => features.get(nameOf(picture)) ?? null,
    put: (picture, feature) => void features.set(nameOf(picture), feature.slice()),
    [Symbol.dispose]: () => features.clear(),
  };
}

/**
 * One file a key (a hash of all that a feature depends on besides its picture), shared by all workers of a user: frames
 * of one size, appended whole, never changed. A frame: uint32 magic, uint32 masked CRC-32C of what follows, uint64
 * image id, uint32 length and uint32 CRC of the JPEG, then F float32, all little-endian.
 *
 * A frame torn by a crash is passed over by looking for the next magic; a damaged one fails its CRC, and its picture
 * counts as not there, so it is computed and appended again.
 *
 * @param onFailure told once when the disk takes no more; the cache then only reads.
 */
export class DiskFeatureCache implements FeatureCache {
  private readonly descriptor: number;
  private readonly frameBytes: number;
  private readonly frames = new Map<string, number>();
  /** Everything before it has been looked at. */
  private scanned = 0;
  /** Where the last frame met begins. */
  private begun = 0;
  private writable = true;

  constructor(
    folder: string,
    key: string,
    private readonly features: number,
    private readonly onFailure: (error: unknown) => void,
  ) {
    mkdirSync(folder, { recursive: true });
    this.descriptor = openSync(join(folder, `${key}.features`), 'a+');
    this.frameBytes = headerBytes + features * Float32Array.BYTES_PER_ELEMENT;
    this.scan();
  }

  find(picture: PictureKey): Float32Array | null {
    const name = nameOf(picture);
    let at = this.frames.get(name);
    if (at === undefined) {
      // Another worker may have appended it meanwhile.
      this.scan();
      at = this.frames.get(name);
      if (at === undefined) return null;
    }
    const frame = Buffer.alloc(this.frameBytes);
    if (readSync(this.descriptor, frame, 0, frame.length, at) !== frame.length || !isSound(frame)) {
      this.frames.delete(name);
      return null;
    }
    return new Float32Array(frame.buffer, frame.byteOffset + headerBytes, this.features);
  }

  put(picture: PictureKey, feature: Float32Array): void {
    if (!this.writable || this.frames.has(nameOf(picture))) return;
    const frame = Buffer.alloc(this.frameBytes);
    writeHeader(frame, picture);
    frame.set(new Uint8Array(feature.buffer, feature.byteOffset, feature.byteLength), headerBytes);
    frame.writeUInt32LE(maskedCrc32c(frame.subarray(8)), 4);
    try {
      // One write of an append-only file: frames of several workers don't mix.
      if (writeSync(this.descriptor, frame) !== frame.length) throw new Error('the disk took a part of a frame only');
    } catch (error) {
      this.writable = false;
      this.onFailure(error);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.descriptor);
  }

  private scan(): void {
    const { size } = fstatSync(this.descriptor);
    const header = Buffer.alloc(headerBytes);
    while (this.scanned + this.frameBytes <= size) {
      readSync(this.descriptor, header, 0, headerBytes, this.scanned);
      if (header.readUInt32LE(0) !== magic) {
        // The frame before may be the torn one, and this place within the next.
        const next = this.findMagic(this.begun + 1, size);
        if (next < 0) return;
        this.scanned = next;
        this.begun = next;
        continue;
      }
      this.frames.set(nameOf(readHeader(header)), this.scanned);
      this.begun = this.scanned;
      this.scanned += this.frameBytes;
    }
  }

  /** The next place from `from` on where a frame may begin; −1 when there is none yet. */
  private findMagic(from: number, size: number): number {
    const window = Buffer.alloc(Math.min(size - from, 4 * this.frameBytes));
    const read = readSync(this.descriptor, window, 0, window.length, from);
    const found = window.subarray(0, read).indexOf(magicBytes);
    return found < 0 ? -1 : from + found;
  }
}

const magic = 0x31544653;
const magicBytes = Buffer.from('SFT1', 'latin1');
const headerBytes = 24;

function nameOf({ imageId, bytes, crc }: PictureKey): string {
  return `${imageId}/${bytes}/${crc}`;
}

function writeHeader(frame: Buffer, { imageId, bytes, crc }: PictureKey): void {
  frame.writeUInt32LE(magic, 0);
  frame.writeBigInt64LE(BigInt(imageId), 8);
  frame.writeUInt32LE(bytes, 16);
  frame.writeUInt32LE(crc, 20);
}

function readHeader(header: Buffer): PictureKey {
  return {
    imageId: Number(header.readBigInt64LE(8)),
    bytes: header.readUInt32LE(16),
    crc: header.readUInt32LE(20),
  };
}

function isSound(frame: Buffer): boolean {
  return frame.readUInt32LE(0) === magic && frame.readUInt32LE(4) === maskedCrc32c(frame.subarray(8));
}
