/** Everything the lab can do to a cluster. */
export const faultKinds = [
  'kill',
  'stop',
  'slow',
  'nats-restart',
  'nats-wiped',
  'cut',
  'delay',
  'throttle',
  'half-open',
  'flipped-bytes',
  'reordered',
  'repeated',
  'duplicate-delivery',
  'stale-delivery',
  'garbage-delivery',
  'disk-full',
  'read-only',
  'slow-disk',
  'torn-write',
  'checkpoint-flip',
  'torn-journal',
  'shard-flip',
  'clock-jump',
  'nan-gradient',
  'huge-gradient',
  'memory-limit',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export type Target = 'coordinator' | 'worker-1' | 'worker-2' | 'ps-1' | 'ps-2' | 'nats' | 'grpc';

/** What a machine has to have before a fault can be real there. */
export type Ability = 'toxiproxy' | 'preload' | 'prlimit';

/** How a kind is drawn. */
export interface FaultRule {
  readonly targets: readonly Target[];
  /** Least and most milliseconds until it is mended; a fault of a moment has [0, 0]. */
  readonly lasts: readonly [number, number];
  /** Its size, in the unit that `means` names. */
  readonly amount: readonly [number, number];
  readonly means: string;
  readonly needs?: Ability;
}

const workers = ['worker-1', 'worker-2'] as const;
const roles = ['coordinator', ...workers] as const;
const links = ['grpc', 'nats'] as const;
const moment = [0, 0] as const;

export const faultRules: Readonly<Record<FaultKind, FaultRule>> = {
  kill: { targets: roles, lasts: moment, amount: [0, 800], means: 'SIGKILL; started again after so many ms' },
  stop: { targets: [...roles, 'nats'], lasts: [200, 3500], amount: moment, means: 'SIGSTOP, then SIGCONT' },
  slow: { targets: [...roles, 'nats'], lasts: [800, 3000], amount: [50, 90], means: 'stopped % of the time' },
  'nats-restart': {
    targets: ['nats'],
    lasts: moment,
    amount: [0, 1500],
    means: 'killed; back after ms, with its store',
  },
  'nats-wiped': {
    targets: ['nats'],
    lasts: moment,
    amount: [0, 1500],
    means: 'killed; back after ms, without its store',
  },
  cut: {
    targets: links,
    lasts: [50, 2500],
    amount: moment,
    means: 'connections closed and refused',
    needs: 'toxiproxy',
  },
  delay: { targets: links, lasts: [500, 2500], amount: [5, 150], means: 'ms more each way', needs: 'toxiproxy' },
  throttle: { targets: links, lasts: [500, 2500], amount: [10, 300], means: 'KB/s at most', needs: 'toxiproxy' },
  'half-open': {
    targets: links,
    lasts: [300, 3500],
    amount: [0, 1],
    means: 'nothing arrives any more, to the server (0) or from it (1)',
    needs: 'toxiproxy',
  },
  'flipped-bytes': { targets: links, lasts: [300, 2000], amount: [1, 5], means: 'bits flipped on the way' },
  reordered: { targets: ['nats'], lasts: [300, 2500], amount: moment, means: 'messages overtake each other' },
  repeated: { targets: ['nats'], lasts: [300, 2500], amount: moment, means: 'each message comes twice' },
  'duplicate-delivery': {
    targets: ['nats'],
    lasts: moment,
    amount: [1, 4],
    means: 'further offers of each current unit',
  },
  'stale-delivery': {
    targets: ['nats'],
    lasts: moment,
    amount: [1, 6],
    means: 'offers of steps and generations gone by',
  },
  'garbage-delivery': { targets: ['nats'], lasts: moment, amount: [1, 4], means: 'messages that are no units' },
  'disk-full': { targets: ['coordinator'], lasts: [300, 2500], amount: moment, means: 'no room in the run folder' },
  'read-only': { targets: ['coordinator'], lasts: [300, 2500], amount: moment, means: 'checkpoints cannot be written' },
  'slow-disk': {
    targets: ['coordinator'],
    lasts: [500, 2500],
    amount: [5, 120],
    means: 'ms for each write and sync',
    needs: 'preload',
  },
  'torn-write': {
    targets: ['coordinator'],
    lasts: moment,
    amount: [1, 12],
    means: 'half of this write of the run folder from now, then SIGKILL',
    needs: 'preload',
  },
  'checkpoint-flip': {
    targets: ['coordinator'],
    lasts: moment,
    amount: [0, 65535],
    means: 'killed; place of a flipped bit',
  },
  'torn-journal': { targets: ['coordinator'], lasts: moment, amount: [1, 60], means: 'killed; bytes of half a line' },
  'shard-flip': {
    targets: workers,
    lasts: [300, 1500],
    amount: [0, 65535],
    means: 'place of a flipped bit in its shard',
  },
  'clock-jump': { targets: roles, lasts: [500, 3000], amount: [-86400, 86400], means: 'seconds', needs: 'preload' },
  'nan-gradient': { targets: ['grpc'], lasts: moment, amount: [1, 1], means: 'units answered with values not finite' },
  'huge-gradient': { targets: ['grpc'], lasts: moment, amount: [1, 6], means: 'gradients of 3e38 for units not due' },
  'memory-limit': {
    targets: workers,
    lasts: moment,
    amount: [0, 24],
    means: 'MiB of address space left',
    needs: 'prlimit',
  },
};
