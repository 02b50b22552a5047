import {
  appendFileSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultContext } from './fault-context.js';
import type { LabRun } from './lab-run.js';

/** Fills the run's disk to the last byte; where it is none of its own, the coordinator's writes fail as on a full one. */
export async function fillDisk(context: FaultContext): Promise<boolean> {
  const { run, lasts } = context;
  if (!run.lab.mounts) return failWrites(context, constants.errno.ENOSPC);
  const ballast = join(run.run, 'ballast');
  const descriptor = openSync(ballast, 'w');
  try {
    for (let piece = Buffer.alloc(1 << 20); piece.length > 0;)
      try {
        if (writeSync(descriptor, piece) === 0) break;
      } catch {
        piece = piece.subarray(0, piece.length >> 1);
      }
  } finally {
    closeSync(descriptor);
  }
  await lasts();
  rmSync(ballast, { force: true });
  return true;
}

/** The checkpoints' folder is mounted read-only over itself; without the right to, writes fail as on such a disk. */
export async function makeReadOnly(context: FaultContext): Promise<boolean> {
  const { run, lasts } = context;
  if (!run.lab.mounts) return failWrites(context, constants.errno.EIO);
  const place = join(run.run, 'checkpoints');
  const undo = run.mount(place, place, ['--bind']);
  run.mount(place, place, ['-o', 'remount,bind,ro'])();
  await lasts();
  undo();
  return true;
}

async function failWrites({ run, lasts }: FaultContext, errno: number): Promise<boolean> {
  const control = run.controls.get('coordinator');
  if (control === undefined) return false;
  control.failWrites(errno);
  await lasts();
  control.failWrites(0);
  return true;
}

export async function slowDisk({ run, fault, lasts }: FaultContext): Promise<boolean> {
  const control = run.controls.get('coordinator');
  control?.delayWrites(fault.amount);
  await lasts();
  control?.delayWrites(0);
  return control !== undefined;
}

/** The coordinator ends in the middle of a write; the next one finds what was written by then. */
export async function tearWrite({ run, fault, isOver }: FaultContext): Promise<boolean> {
  const control = run.controls.get('coordinator');
  const coordinator = run.role('coordinator');
  if (control === undefined || coordinator.pid === 0) return false;
  const { starts } = coordinator;
  coordinator.killed++;
  control.tearWrite(fault.amount);
  while (!isOver() && coordinator.starts === starts) await delay(50);
  control.tearWrite(0);
  return coordinator.starts > starts;
}

/** The newest checkpoint loses a bit while nobody runs. */
export async function flipCheckpoint({ run, fault, isOver }: FaultContext): Promise<boolean> {
  const coordinator = run.role('coordinator');
  // With a single one there is none to fall back to, which ends the run by name, as it should.
  while (wholeCheckpoints(run).length < 2 && !isOver()) await delay(50);
  if (coordinator.pid === 0 || isOver()) return false;
  coordinator.kill(0, () => {
    const [step] = wholeCheckpoints(run).slice(-1);
    const folder = join(run.run, 'checkpoints', step ?? '');
    const files = readdirSync(folder).filter((name) => statSync(join(folder, name)).size > 0);
    flipBit(join(folder, files[fault.amount % files.length] ?? ''), fault.amount * 7919);
  });
  return true;
}

function wholeCheckpoints(run: LabRun): string[] {
  return readdirSync(join(run.run, 'checkpoints'))
    .filter((name) => /^\d+$/.test(name))
    .sort();
}

/** A line of the journal, and of the account, of which only the beginning came to disk. */
export async function tearJournal({ run, fault }: FaultContext): Promise<boolean> {
  const coordinator = run.role('coordinator');
  if (coordinator.pid === 0) return false;
  coordinator.kill(0, () => {
    for (const name of ['journal.jsonl', 'steps.jsonl']) {
      const file = join(run.run, name);
      const first = readFileSync(file, 'utf8').split('\n')[0] ?? '';
      appendFileSync(file, first.slice(0, fault.amount));
    }
  });
  return true;
}

/** A worker's copy of the training records has a wrong bit for a while. */
export async function flipShard({ run, fault, lasts }: FaultContext): Promise<boolean> {
  const [shard] = run.lab.dataset.split('train').shards;
  const file = join(run.dataOf(fault.target), basename(shard?.file ?? ''));
  const sound = readFileSync(file);
  flipBit(file, fault.amount * 7919);
  await lasts();
  writeFileSync(file, sound, { flag: 'r+' });
  return true;
}

function flipBit(file: string, place: number): void {
  const bytes = readFileSync(file);
  const at = place % bytes.length;
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (place % 8));
  writeFileSync(file, bytes, { flag: 'r+' });
}
