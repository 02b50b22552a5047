import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { type CheckpointToWrite, writeCheckpoint } from '@showtell/coordinator/checkpoints/write-checkpoint.js';
import { layOut, tensorView } from '@showtell/shared/tensors/layout.js';
import { temporaryFolder } from './temporary-folder.js';

const script = fileURLToPath(new URL('./killed-writing.mjs', import.meta.url));
const elements = 500;
const layout = layOut([
  { name: 'lstm/kernel', shape: [elements], group: 'decoder' },
  { name: 'conv/moving_mean', shape: [10], group: 'statistics' },
]);
const zeros = '0'.repeat(64);

interface Place {
  /** It dies after so many bytes of the checkpoint's files. */
  readonly bytes?: number;
  /** It dies at this call that moves, syncs, opens or closes something. */
  readonly call?: number;
}

/** A small checkpoint whose every value tells its step. */
function checkpointOf(directory: string, step: number): CheckpointToWrite {
  const values = (name: string, length: number, first: number) => ({
    name,
    shape: [length],
    values: new Float32Array(length).map((_, i) => first + i),
  });
  return {
    parameters: [values('lstm/kernel', elements, step), values('conv/moving_mean', 10, step)],
    optimizer: [values('lstm/kernel/Momentum', elements, -step)],
    ...{ directory, name: String(step).padStart(8, '0'), savedAt: '2026-01-01T00:00:00.000Z', pinned: false },
    about: {
      ...{ run: 'r', step, phase: 'joint', switchedAt: 0, phaseHistory: [{ phase: 'joint', fromStep: 0 }], lineage: 0 },
      ...{ generation: 1, examples: step, job: { optimizer: { name: 'momentum' } }, jobSha256: zeros },
      ...{ datasetDigest: zeros, vocabularySha256: zeros, canaries: {}, metrics: { bleu4: null } },
    },
  };
}

function write(directory: string, step: number): void {
  mkdirSync(directory, { recursive: true });
  writeCheckpoint(checkpointOf(directory, step));
}

/** The same in a process that dies at a place. @returns how many places there are; null when it died */
async function writeAndDie(directory: string, step: number, place: Place): Promise<Counted | null> {
  const asArrays = (_: string, value: unknown): unknown => (value instanceof Float32Array ? [...value] : value);
  const told = JSON.stringify({ checkpoint: checkpointOf(directory, step), ...place }, asArrays);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [script, told]);
    return JSON.parse(stdout) as Counted;
  } catch (error) {
    expect(error).toMatchObject({ signal: 'SIGKILL' });
    return null;
  }
}

interface Counted {
  readonly bytes: number;
  readonly calls: number;
}

/**
 * Kills a process at many places of a checkpoint's writing, half of the times one that replaces another of its step. Each
 * time a coordinator that starts must find the checkpoint before it, or this one whole, and must leave nothing half
 * written behind.
 *
 * @returns how many places were tried
 */
export async function killWhileWriting(places: number): Promise<number> {
  const counted = await writeAndDie(path.join(temporaryFolder(), 'checkpoints'), 2, {});
  if (counted === null) throw new Error('it was killed though nobody asked for it');
  const { bytes, calls } = counted;
  const ofCalls = Array.from({ length: calls }, (_, call): Place => ({ call }));
  const chosen = ofCalls.filter((_, i) => i % Math.max(1, Math.ceil((2 * calls) / places)) === 0);
  const rest = Math.max(1, places - chosen.length);
  const ofBytes = Array.from({ length: rest }, (_, i): Place => ({ bytes: Math.floor((i * bytes) / rest) }));
  for (const [i, place] of [...chosen, ...ofBytes].entries()) {
    const directory = path.join(temporaryFolder(), 'checkpoints');
    write(directory, 1);
    if (i % 2 === 1) write(directory, 2);
    expect(await writeAndDie(directory, 2, place), JSON.stringify(place)).toBeNull();
    await using store = CheckpointStore.open(directory);
    const found = await store.newestSound(layout, Infinity);
    const { step = NaN } = found?.manifest ?? {};
    expect([1, 2], JSON.stringify(place)).toContain(step);
    // What was there is not lost: only where another of its step is moved aside may the one before it be the newest.
    expect(found === null ? null : tensorView(found.parameters, layout.entry('lstm/kernel'))[7]).toBe(step + 7);
    expect(
      readdirSync(directory).filter((name) => !/^\d+$/u.test(name)),
      JSON.stringify(place),
    ).toEqual([]);
  }
  return chosen.length + ofBytes.length;
}
