/**
 * A segment of a version as a file in shared memory: a header of {@link headerBytes}, then the elements. The file is
 * reused for later versions, so the header says which one it holds and is read before and after the body: a reader that
 * was overtaken sees another header and never torn values.
 */
export const headerBytes = 4096;

const magic = 0x7368_6f77;

/** Which values a version file holds: those that `step` of this lineage brought forth. */
export interface VersionStamp {
  readonly generation: number;
  readonly lineage: number;
  readonly changedAtStep: number;
}

/** The header's first 32 bytes; `null` while the body is being written. */
export function encodeStamp(stamp: VersionStamp | null): Uint8Array {
  const bytes = new Uint8Array(32);
  if (stamp === null) return bytes;
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, stamp.generation, true);
  view.setUint32(8, stamp.lineage, true);
  view.setFloat64(16, stamp.changedAtStep, true);
  return bytes;
}

export function holdsStamp(header: Uint8Array, stamp: VersionStamp): boolean {
  const expected = encodeStamp(stamp);
  return expected.every((byte, i) => byte === header[i]);
}
