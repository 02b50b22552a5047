import { readdirSync, readFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { Journal, type JournalEntry } from '@showtell/coordinator/journal.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { readAccount, type AccountedStep } from '@showtell/coordinator/step-account.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import { processesOf, type LabRun, type PrintedEvent } from './lab-run.js';

/** What a run came to: two runs of one job must agree on it to the bit. */
export interface Outcome {
  readonly parameters: string;
  readonly optimizer: string;
  readonly examples: number;
  /** Of each step, in order. */
  readonly losses: readonly number[];
}

/** Says what does not hold. */
type Complaint = string;

export async function outcomeOf(run: LabRun): Promise<Outcome> {
  const manifest = await CheckpointStore.read(join(run.run, 'checkpoints')).verify(run.steps);
  const losses = (await accountOf(run)).map(({ loss }) => loss);
  const { parameters, optimizer, examples } = manifest;
  return { parameters: parameters.sha256, optimizer: optimizer.sha256, examples, losses };
}

async function accountOf({ run }: LabRun): Promise<AccountedStep[]> {
  const steps: AccountedStep[] = [];
  for await (const step of readAccount(join(run, 'steps.jsonl'))) steps.push(step);
  return steps;
}

/** The final parameters are the undisturbed run's. */
export async function checkOutcome(run: LabRun, undisturbed: Outcome): Promise<Complaint[]> {
  const outcome = await outcomeOf(run);
  const complaints: Complaint[] = [];
  const { asynchronous } = run.job;
  const alike = asynchronous === null ? (['parameters', 'optimizer', 'examples'] as const) : (['examples'] as const);
  for (const what of alike)
    if (outcome[what] !== undisturbed[what]) complaints.push(`${what}: ${outcome[what]} is not ${undisturbed[what]}`);
  if (asynchronous !== null) return complaints;
  const step = outcome.losses.findIndex((loss, i) => loss !== undisturbed.losses[i]);
  if (step !== -1)
    complaints.push(`the loss of step ${step} is ${outcome.losses[step] ?? ''}, not ${undisturbed.losses[step] ?? ''}`);
  return complaints;
}

/** Each step stands in the account once with the plan's units, and each record counts once in each epoch. */
export async function checkAccount(run: LabRun): Promise<Complaint[]> {
  const account = await accountOf(run);
  const complaints: Complaint[] = [];
  const steps = account.map(({ step }) => step).join();
  const expected = Array.from({ length: run.steps }, (_, step) => step).join();
  if (steps !== expected) return [`steps.jsonl has the steps ${steps}`];
  const train = run.lab.dataset.split('train');
  const plan = new Plan(run.job, train);
  const seen = new Map<string, number>();
  let position = 0;
  for (const { step: update, lineage, units } of account) {
    // An asynchronous run's updates are of any unit that was open.
    const step = run.job.asynchronous === null ? update : (units[0]?.step ?? -1);
    complaints.push(...boundsOf(run, update, units));
    const planned = step < 0 ? [] : plan.units(step);
    if (lineage !== 1) complaints.push(`step ${step} is of lineage ${lineage}`);
    const counted = units.map(({ index, examples }) => `${index}:${examples}`).sort();
    const wanted = planned.map(({ index, records }) => `${index}:${records.length}`).sort();
    if (counted.join() !== wanted.join())
      complaints.push(`step ${step} counts ${counted.join()}, planned is ${wanted.join()}`);
    for (const { records } of planned)
      for (const [i, { shard, offset }] of records.entries()) {
        const place = run.job.asynchronous === null ? position++ : step * run.job.batch.examples + i;
        const key = `epoch ${Math.floor(place / train.count)}, record ${shard}@${offset}`;
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
  }
  for (const [key, times] of seen) if (times !== 1) complaints.push(`${key} counts ${times} times`);
  return complaints;
}

/** What is bounded of an update of an asynchronous run: how old its version was, how far from its place it came. */
function boundsOf({ job: { asynchronous } }: LabRun, update: number, [unit]: AccountedStep['units']): Complaint[] {
  if (asynchronous === null) return [];
  const { step = NaN, staleness = NaN } = unit ?? {};
  const { maxStaleness } = asynchronous;
  if (staleness >= 0 && staleness <= maxStaleness && Math.abs(step - update) <= maxStaleness / 2) return [];
  return [`update ${update} is unit ${step}, computed ${staleness} updates before`];
}

/** The journal reads, and tells one story: generations rise, each decision and evaluation stands there once. */
export function checkJournal(run: LabRun): Complaint[] {
  const entries = journalOf(run);
  const complaints: Complaint[] = [];
  const generations = entries.flatMap((entry) => (entry.type === 'generation' ? [entry.generation] : []));
  if (generations.some((generation, i) => i > 0 && generation <= (generations[i - 1] ?? 0)))
    complaints.push(`generations do not rise: ${generations.join()}`);
  if (entries.at(-1)?.type !== 'finished') complaints.push(`the journal ends with ${JSON.stringify(entries.at(-1))}`);
  const twice = twiceIn(entries, run.job.asynchronous !== null);
  if (twice.length > 0) complaints.push(`twice in the journal: ${twice.join()}`);
  const switches = entries.filter(({ type }) => type === 'switch').length;
  if (switches !== (run.schedule.joint ? 1 : 0)) complaints.push(`${switches} switches stand in the journal`);
  return complaints;
}

/** Offers that the laboratory repeats or makes up are taken for units: where nothing was garbled, nothing counts as damaged. */
export function checkDeliveries({ folder, schedule }: LabRun): Complaint[] {
  const garbles = ['garbage-delivery', 'flipped-bytes'];
  if (schedule.faults.some(({ kind }) => garbles.includes(kind))) return [];
  const logs = join(folder, 'logs');
  return readdirSync(logs)
    .filter((name) => readFileSync(join(logs, name), 'utf8').includes('bus/damaged-message'))
    .map((name) => `${name} tells of a damaged message, and none was damaged`);
}

/** An asynchronous run that went back to a checkpoint has other versions from there on, which are evaluated anew. */
function twiceIn(entries: readonly JournalEntry[], isAsynchronous: boolean): string[] {
  const there = new Map<string, number>();
  const twice: string[] = [];
  for (const entry of entries) {
    if (entry.type === 'generation' && isAsynchronous)
      for (const [key, evaluated] of there) if (evaluated > (entry.fromStep ?? -1)) there.delete(key);
    const key = keyOf(entry);
    if (key === null) continue;
    if (there.has(key)) twice.push(key);
    there.set(key, entry.type === 'evaluation' ? entry.step : -1);
  }
  return twice;
}

function journalOf({ run }: LabRun): readonly JournalEntry[] {
  return Journal.read(join(run, 'journal.jsonl'));
}

/** What may stand there once; null: as often as it comes. */
function keyOf(entry: JournalEntry): string | null {
  switch (entry.type) {
    case 'canary':
      return `canary ${entry.graph}`;
    case 'evaluation':
      return `evaluation ${entry.lineage}.${entry.step}`;
    case 'switch':
      return 'switch';
    case 'finished':
      return 'finished';
    default:
      return null;
  }
}

/** What a coordinator counts of all the generations that it led. */
const ofGeneration: readonly string[] = [
  'showtell_examples_total',
  'showtell_step_duration_seconds_count',
  'showtell_evaluation_duration_seconds_count',
  'showtell_units_invalid_total ',
];

/** The last coordinator's counters say what its journal, account and printed lines say. */
export async function checkMetrics(run: LabRun, metrics: string): Promise<Complaint[]> {
  const entries = journalOf(run);
  const last = entries.findLast((entry) => entry.type === 'generation');
  const generation = last?.generation ?? 0;
  const taken = (await accountOf(run)).filter((step) => step.generation === generation);
  const printed = run.printed.findLast((events) => events.length > 0) ?? [];
  const count = (type: PrintedEvent['type']): number => printed.filter((event) => event.type === type).length;
  const examples = taken.flatMap(({ units }) => units).reduce((sum, unit) => sum + unit.examples, 0);
  const evaluated = entries
    .slice(entries.lastIndexOf(last as JournalEntry))
    .filter(({ type }) => type === 'evaluation');
  const expected: Record<string, number> = {
    'showtell_step ': run.steps,
    'showtell_generation ': generation,
    'showtell_lineage ': 0,
    showtell_examples_total: examples,
    showtell_step_duration_seconds_count: taken.length,
    'showtell_checkpoints_total{result="saved"}': count('checkpoint'),
    'showtell_checkpoints_total{result="failed"}': count('save-failed'),
    showtell_evaluation_duration_seconds_count: evaluated.length,
    showtell_checkpoint_step: run.steps,
    showtell_rollbacks_total: 0,
    showtell_corrupt_records_total: 0,
    'showtell_units_invalid_total ': run.refused.get(generation) ?? 0,
    showtell_update_staleness_count: run.job.asynchronous === null ? 0 : taken.length,
  };
  // A coordinator that lost a shard has counted what it did as an earlier generation too.
  const starts = run.role('coordinator').starts;
  const hasLost = entries.filter(({ type }) => type === 'generation').length > starts;
  return Object.entries(expected).flatMap(([name, wanted]) => {
    if (hasLost && ofGeneration.includes(name)) return [];
    const found = sumOf(metrics, name);
    return found === wanted ? [] : [`/metrics says ${name.trim()} ${found}, true is ${wanted}`];
  });
}

function sumOf(metrics: string, name: string): number {
  const lines = metrics.split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** Nothing that the run needed is left once it is over. */
export async function checkLeftovers(run: LabRun): Promise<Complaint[]> {
  const orphans = processesOf(run.folder);
  const complaints = orphans.map((pid) => `process ${pid} is left`);
  const names = readdirSync(run.run, { recursive: true, encoding: 'utf8' });
  complaints.push(
    ...names.filter((name) => /\.(tmp|writing|replaced)$/.test(name)).map((name) => `${name} is left in the run`),
  );
  complaints.push(...readdirSync(join(run.run, 'processes')).map((name) => `processes/${name} is left`));
  complaints.push(...readdirSync(run.temporary).map((name) => `${name} is left in the temporary folder`));
  const id = new RunFolder(run.run).identity().run.replace(/[^A-Za-z0-9_]/g, '_');
  const shared = existsSync('/dev/shm') ? readdirSync('/dev/shm').filter((name) => name.includes(`-${id}-`)) : [];
  complaints.push(...shared.map((name) => `/dev/shm/${name} is left`));
  return complaints;
}

/** Every checkpoint that is there is sound, and no more are kept than the job says. */
export async function checkCheckpoints(run: LabRun): Promise<Complaint[]> {
  const store = CheckpointStore.read(join(run.run, 'checkpoints'));
  const listed = store.list();
  const complaints: Complaint[] = [];
  for (const { step } of listed)
    await store.verify(step).catch((error: unknown) => complaints.push(`checkpoint ${step}: ${String(error)}`));
  const most = run.job.checkpoints.keepLast + listed.filter(({ pinned }) => pinned).length + 1;
  if (listed.length > most) complaints.push(`${listed.length} checkpoints are kept, at most ${most} should be`);
  return complaints;
}
