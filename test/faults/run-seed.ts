import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { doings } from './do-fault.js';
import type { FaultKind } from './fault-kinds.js';
import {
  checkAccount,
  checkCheckpoints,
  checkDeliveries,
  checkJournal,
  checkLeftovers,
  checkMetrics,
  checkOutcome,
  outcomeOf,
  type Outcome,
} from './invariants.js';
import type { RunLength } from './lab-job.js';
import { LabRun, workerNames } from './lab-run.js';
import type { Lab } from './lab.js';
import type { Fault, Schedule } from './schedule.js';

/** What came of a schedule. */
export interface SeedResult {
  readonly schedule: Schedule;
  /** What does not hold; none: all holds. */
  readonly complaints: readonly string[];
  /** Faults that hit something. */
  readonly done: readonly FaultKind[];
  readonly seconds: number;
  /** The ends of the processes' logs, where something does not hold. */
  readonly logs: string;
}

/** A run that takes no step for so long, with all mended, stands still for good. */
const patienceMs = 400_000;
/** Workers that were told of the run's end are gone by then. */
const leaveMs = 6_000;
const graceMs = 60_000;

/** What runs come to when nothing goes wrong. */
export type References = (length: RunLength) => Promise<Outcome>;

/** Runs each length once, when it is first asked for. */
export function undisturbed(lab: Lab, signal?: AbortSignal): References {
  const known = new Map<string, Promise<Outcome>>();
  return ({ joint, schedules, cluster }) => {
    // Shards have the bits of one that is whole.
    const length = { joint, schedules, cluster: cluster === 'shards' ? 'whole' : cluster } as const;
    const key = JSON.stringify(length);
    const outcome = known.get(key) ?? runUndisturbed(lab, length, signal);
    known.set(key, outcome);
    return outcome;
  };
}

async function runUndisturbed(lab: Lab, length: RunLength, signal?: AbortSignal): Promise<Outcome> {
  const name = `undisturbed-${length.cluster}-${length.schedules}-${length.joint}`;
  await using run = await LabRun.start(lab, { ...length, seed: 0, sharedMemory: true, faults: [] }, name);
  await untilFinished(run, [], [], signal);
  return await outcomeOf(run);
}

/** Runs a schedule on a cluster of its own and checks all that must hold. */
export async function runSchedule(
  lab: Lab,
  schedule: Schedule,
  references: References,
  name: string,
  signal?: AbortSignal,
): Promise<SeedResult> {
  const began = performance.now();
  // Not beside it: the first one would otherwise wait for both.
  await references(schedule);
  await using run = await LabRun.start(lab, schedule, name);
  const done: FaultKind[] = [];
  const complaints: string[] = [];
  try {
    await untilFinished(run, schedule.faults, done, signal);
    const metrics = await metricsOf(run);
    complaints.push(...(await endInOrder(run)));
    complaints.push(
      ...(await checkOutcome(run, await references(schedule))),
      ...(await checkAccount(run)),
      ...checkDeliveries(run),
      ...checkJournal(run),
    );
    complaints.push(
      ...(await checkMetrics(run, metrics)),
      ...(await checkCheckpoints(run)),
      ...(await checkLeftovers(run)),
    );
  } catch (error) {
    complaints.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const logs = complaints.length > 0 ? logsOf(run) : '';
  return { schedule, complaints, done, seconds: (performance.now() - began) / 1000, logs };
}

/** Does the faults as their steps come, and waits for the run's end. @throws Error when it stands still or has failed */
async function untilFinished(
  run: LabRun,
  faults: readonly Fault[],
  done: FaultKind[],
  signal?: AbortSignal,
): Promise<void> {
  const waiting = [...faults];
  const underWay = new Set<Promise<void>>();
  const failures: Error[] = [];
  let heard = performance.now();
  let seen = '';
  const isOver = (): boolean => run.isFinished || failures.length > 0;
  while (!run.isFinished || underWay.size > 0) {
    for (const fault of waiting.filter(({ atStep }) => atStep <= run.step)) {
      waiting.splice(waiting.indexOf(fault), 1);
      const doing = delay(fault.afterMs)
        .then(async () => {
          if (isOver()) return;
          if (await doings[fault.kind]({ run, fault, isOver, lasts: () => until(fault.lastsMs, isOver) }))
            done.push(fault.kind);
        })
        .catch((error: unknown) => void failures.push(error as Error))
        .finally(() => underWay.delete(doing));
      underWay.add(doing);
    }
    const now = `${run.printed.length}.${run.printed.at(-1)?.length ?? 0}.${underWay.size}`;
    if (now !== seen) heard = performance.now();
    seen = now;
    if (failures[0] !== undefined) throw failures[0];
    signal?.throwIfAborted();
    if (performance.now() - heard > patienceMs)
      throw new Error(`no step for ${patienceMs / 1000} s after step ${run.step}`);
    const coordinator = run.role('coordinator');
    if (coordinator.isDone) throw new Error('the coordinator was started too often');
    await failedForGood(run);
    await delay(25);
  }
}

/** After the run's end they are served anew, in a moment. */
async function metricsOf({ httpUrl }: LabRun): Promise<string> {
  for (let tried = 0; ; tried++)
    try {
      const answer = await fetch(`${httpUrl}/metrics`);
      return await answer.text();
    } catch (error) {
      if (tried === 300) throw error;
      await delay(100);
    }
}

async function until(ms: number, isOver: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  while (performance.now() < end && !isOver()) await delay(Math.min(50, ms));
}

/** With --stay a coordinator whose run failed for good goes on answering. @throws Error with what it says */
async function failedForGood(run: LabRun): Promise<void> {
  const output = run.role('coordinator').output;
  const error = /error /.exec(output);
  if (error === null || run.role('coordinator').pid === 0) return;
  const status = await fetch(`${run.httpUrl}/status`, { signal: AbortSignal.timeout(1_000) })
    .then((answer) => answer.json() as Promise<{ state?: string; end?: { message?: string } }>)
    .catch(() => null);
  if (status?.state === 'failed') throw new Error(`the run failed: ${status.end?.message ?? ''}`);
}

/** Workers leave by themselves with the run; the coordinator, which stays, and nats-server are asked to. */
async function endInOrder(run: LabRun): Promise<string[]> {
  const complaints: string[] = [];
  for (const id of workerNames)
    if (!(await run.role(id).end(leaveMs, graceMs))) complaints.push(`${id} did not end when it was asked to`);
  for (const name of ['coordinator', ...run.shardNames, 'nats'] as const)
    if (!(await run.role(name).end(0, graceMs))) complaints.push(`${name} did not end when it was asked to`);
  for (const { name, ends } of run.allRoles) {
    // A process without memory may end in any way.
    const limited = run.schedule.faults.some(({ kind, target }) => kind === 'memory-limit' && target === name);
    for (const { code, output } of ends)
      if (!limited && (code === 70 || code === 1)) complaints.push(`${name} ended with ${code}: ${output.slice(-900)}`);
  }
  if (run.step !== run.steps) complaints.push(`the run ended at step ${run.step}`);
  return complaints;
}

function logsOf(run: LabRun): string {
  const folders = [join(run.folder, 'logs'), join(run.run, 'logs')];
  mkdirSync(folders[1] ?? '', { recursive: true });
  return folders
    .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
    .map((file) => `${file}:\n${readFileSync(file, 'utf8').split('\n').slice(-40).join('\n')}`)
    .join('\n');
}
