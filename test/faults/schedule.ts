import { random, type Random } from '@showtell/shared/random.js';
import { faultKinds, faultRules, type Ability, type FaultKind, type Target } from './fault-kinds.js';
import { stepsOf, type Cluster, type RunLength } from './lab-job.js';

/** One fault of a schedule. */
export interface Fault {
  readonly kind: FaultKind;
  readonly target: Target;
  /** It begins this long after the run has come to this step. */
  readonly atStep: number;
  readonly afterMs: number;
  readonly lastsMs: number;
  /** Its size: {@link FaultRule.means} says of what. */
  readonly amount: number;
}

/** What is done to one run, in the order of its steps: a function of the seed. */
export interface Schedule extends RunLength {
  readonly seed: number;
  /** Whether tensors go through shared memory, or in chunks by gRPC, where bytes can be flipped. */
  readonly sharedMemory: boolean;
  readonly faults: readonly Fault[];
}

const most = 5;
/** Faults that a process dies of; a unit that three workers died of ends the run, as it should. */
const deadly: readonly FaultKind[] = ['kill', 'memory-limit', 'cut', 'half-open', 'nan-gradient', 'shard-flip'];
const mostDeadly = 2;
/** The second refusal of one unit ends the run, as it should. */
const once: readonly FaultKind[] = ['nan-gradient', 'memory-limit'];

/** Faults that may hit a shard where there are some, or the way to it. */
const ofShards: readonly FaultKind[] = ['kill', 'stop', 'slow', 'clock-jump'];
const onTheWay: readonly FaultKind[] = ['cut', 'delay', 'throttle', 'half-open', 'flipped-bytes'];
/** What the lab's own gradients are refused for holds of synchronous runs: in others a unit of a step gone by may be due. */
const synchronousOnly: readonly FaultKind[] = ['nan-gradient', 'huge-gradient'];

/**
 * Draws two to five faults; one of them is of the kind whose turn it is, so that as many seeds as there are kinds have all. The same seed
 * gives the same faults on every machine that has the same abilities.
 */
export function drawSchedule(
  seed: number,
  lacking: ReadonlySet<Ability> = new Set(),
  cluster: Cluster = 'whole',
): Schedule {
  const shard = random(seed, 'shards');
  const draw = random(seed, 'faults');
  const count = 2 + draw.integer(most - 1);
  const sharedMemory = draw.integer(2) === 0;
  const joint = draw.integer(3) === 0;
  const faults: Fault[] = [];
  while (faults.length < count) {
    const kind = faultKinds[faults.length === 0 ? seed % faultKinds.length : draw.integer(faultKinds.length)] ?? 'kill';
    const fault = drawFault(draw, kind, stepsOf({ joint, schedules: 1, cluster }));
    if (isAllowed(fault, faults)) faults.push(cluster === 'shards' ? atShard(fault, shard) : fault);
  }
  faults.sort((a, b) => a.atStep - b.atStep || a.afterMs - b.afterMs);
  const isPossible = ({ kind }: Fault): boolean =>
    !isLacking(kind, lacking) && !(cluster === 'asynchronous' && synchronousOnly.includes(kind));
  return { seed, sharedMemory, joint, schedules: 1, cluster, faults: faults.filter(isPossible) };
}

/** Half of those that may; of the ways two thirds, since the tensors go there. */
function atShard(fault: Fault, draw: Random): Fault {
  const isOnTheWay = onTheWay.includes(fault.kind) && fault.target === 'grpc';
  if ((!isOnTheWay && !ofShards.includes(fault.kind)) || draw.integer(isOnTheWay ? 3 : 2) === 0) return fault;
  return { ...fault, target: draw.integer(2) === 0 ? 'ps-1' : 'ps-2' };
}

/**
 * The schedules of several seeds as one, done to one run one after the other: most of a run's time is its processes' start.
 * It is decoder-only.
 */
export function chain(schedules: readonly Schedule[]): Schedule {
  const [first] = schedules;
  if (first === undefined) throw new RangeError('a chain has at least one schedule');
  if (schedules.length === 1) return first;
  const length = { joint: false, schedules: schedules.length, cluster: first.cluster };
  const last = stepsOf(length) - 2;
  const each = stepsOf({ ...length, schedules: 1 });
  const faults = schedules.flatMap((schedule, i) =>
    schedule.faults.map((fault) => ({ ...fault, atStep: Math.min(last, i * each + fault.atStep) })),
  );
  return { ...first, ...length, faults };
}

/** Whether the machine cannot do a kind. */
function isLacking(kind: FaultKind, lacking: ReadonlySet<Ability>): boolean {
  const { needs } = faultRules[kind];
  return needs !== undefined && lacking.has(needs);
}

function drawFault(draw: Random, kind: FaultKind, steps: number): Fault {
  const { targets, lasts, amount } = faultRules[kind];
  return {
    kind,
    target: targets[draw.integer(targets.length)] ?? 'coordinator',
    atStep: 1 + draw.integer(steps - 2),
    afterMs: draw.integer(300),
    lastsMs: between(draw, lasts),
    amount: between(draw, amount),
  };
}

function between(draw: Random, [least, greatest]: readonly [number, number]): number {
  return least + draw.integer(greatest - least + 1);
}

function isAllowed({ kind }: Fault, before: readonly Fault[]): boolean {
  if (once.includes(kind) && before.some((fault) => fault.kind === kind)) return false;
  return !deadly.includes(kind) || before.filter((fault) => deadly.includes(fault.kind)).length < mostDeadly;
}

/** The schedule for a person, a line a fault. */
export function tell({ seed, sharedMemory, joint, schedules, cluster, faults }: Schedule): string {
  const phases = joint ? 'both phases' : 'decoder-only';
  const seeds = schedules === 1 ? `seed ${seed}` : `seeds ${seed} to ${seed + schedules - 1} on one run`;
  const held = cluster === 'whole' ? '' : cluster === 'shards' ? ', on two shards' : ', asynchronous';
  const head = `${seeds}${held}, ${phases}, exchange by ${sharedMemory ? 'shared memory' : 'gRPC'}`;
  return [head, ...faults.map((fault) => `  ${tellFault(fault)}`)].join('\n');
}

function tellFault({ kind, target, atStep, afterMs, lastsMs, amount }: Fault): string {
  const { means } = faultRules[kind];
  const lasts = lastsMs > 0 ? ` for ${lastsMs} ms` : '';
  return `step ${atStep} + ${afterMs} ms: ${kind} of ${target}${lasts}, amount ${amount} (${means})`;
}
