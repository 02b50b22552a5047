import * as delivery from './delivery-faults.js';
import * as disk from './disk-faults.js';
import type { Doing } from './fault-context.js';
import type { FaultKind } from './fault-kinds.js';
import * as gradient from './gradient-faults.js';
import * as network from './network-faults.js';
import * as processes from './process-faults.js';

/** How each kind is done. */
export const doings: Readonly<Record<FaultKind, Doing>> = {
  kill: processes.kill,
  stop: processes.stop,
  slow: processes.slow,
  'nats-restart': processes.restartNats,
  'nats-wiped': processes.restartNats,
  cut: network.cut,
  delay: network.delayed,
  throttle: network.throttled,
  'half-open': network.halfOpen,
  'flipped-bytes': network.flipBytes,
  reordered: network.reorder,
  repeated: network.repeat,
  'duplicate-delivery': delivery.duplicateDeliveries,
  'stale-delivery': delivery.staleDeliveries,
  'garbage-delivery': delivery.garbageDeliveries,
  'disk-full': disk.fillDisk,
  'read-only': disk.makeReadOnly,
  'slow-disk': disk.slowDisk,
  'torn-write': disk.tearWrite,
  'checkpoint-flip': disk.flipCheckpoint,
  'torn-journal': disk.tearJournal,
  'shard-flip': disk.flipShard,
  'clock-jump': processes.jumpClock,
  'nan-gradient': gradient.notFinite,
  'huge-gradient': gradient.huge,
  'memory-limit': processes.limitMemory,
};
