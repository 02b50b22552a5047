import { type sendUnaryData, status } from '@grpc/grpc-js';
import { Phase } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { OpenRequest, OpenResponse, RingFile } from '@showtell/shared/generated/showtell/v1/shards.js';
import type { PhaseName } from '@showtell/shared/job/phases.js';
import type { Segments } from '@showtell/shared/tensors/layout.js';
import type { Refused } from '../security/call-guard.js';
import type { ParameterShard, RingFiles } from './parameter-shard.js';
import { placeChunk, valuesIn } from './segment-chunks.js';
import { statusOf } from './service.js';

/** Places the values that follow Open's header. @throws when there are too few or too many */
export async function receiveState(
  messages: AsyncIterator<OpenRequest, undefined>,
  slots: readonly Segments[],
): Promise<void> {
  let received = 0;
  for (;;) {
    const next = await messages.next();
    if (next.done === true) break;
    if (next.value.message?.$case === 'chunk') received += placeChunk(next.value.message.value, slots);
  }
  if (received !== valuesIn(slots)) throw refusal(`${received} values came of ${valuesIn(slots)}`);
}

export function phaseNameOf(phase: Phase): PhaseName | null {
  if (phase === Phase.PHASE_JOINT) return 'joint';
  return phase === Phase.PHASE_DECODER_ONLY ? 'decoder-only' : null;
}

export function ringOf(files: readonly RingFile[]): RingFiles {
  return Object.fromEntries(files.map(({ segment, file }) => [segment, file]));
}

export function sharedMemoryOf({ sharedMemory }: Pick<ParameterShard, 'sharedMemory'>): OpenResponse {
  return { sharedMemory: sharedMemory?.directory ?? '', sharedMemoryNonce: sharedMemory?.nonce ?? '' };
}

/** What the shard does not do for who asks. */
export function refusal(details: string): Error {
  return Object.assign(new Error(details), { code: status.FAILED_PRECONDITION, details });
}

export function unopened(): Error & Refused {
  const details = 'no coordinator has opened this shard';
  return Object.assign(new Error(details), { code: status.UNAVAILABLE, details });
}

export function failureOf(error: unknown): Error & { code: status; details: string } {
  const details = error instanceof Error ? error.message : String(error);
  return Object.assign(new Error(details), { code: statusOf(error), details });
}

export function answerWith<T>(respond: sendUnaryData<T>, result: Promise<T>): void {
  result.then(
    (value) => respond(null, value),
    (error: unknown) => respond(failureOf(error)),
  );
}
