import { EventEmitter } from 'node:events';
import type { Workers } from '@showtell/coordinator/workers.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import type { SessionRequest, SessionResponse } from '@showtell/shared/generated/showtell/v1/parameters.js';

type ToCoordinator = NonNullable<SessionRequest['message']>;
type ToWorker = NonNullable<SessionResponse['message']>;

/** A worker's stream to a coordinator: what either end says arrives in order, and when the explorer says so. */
export class Session {
  readonly toCoordinator: ToCoordinator[] = [];
  readonly toWorker: (ToWorker | 'end')[] = [];
  private readonly stream = new EventEmitter();
  private isOver = false;

  constructor(
    readonly generation: number,
    workers: Workers,
  ) {
    const stream = Object.assign(this.stream, {
      write: ({ message }: SessionResponse) => {
        if (message !== undefined) this.toWorker.push(message);
      },
      end: () => this.endAtCoordinator(),
      writableLength: 0,
    });
    // The handler uses no more of a duplex stream than this.
    workers.serve(stream as unknown as Parameters<typeof workers.serve>[0]);
  }

  send(message: ToCoordinator): void {
    if (!this.isOver) this.toCoordinator.push(message);
  }

  /** The coordinator hears what was said so far. */
  deliver(): void {
    for (const message of this.toCoordinator.splice(0)) this.stream.emit('data', { message });
  }

  /** The coordinator learns that the stream is over; what was on its way to it is lost. The worker will learn it later. */
  endAtCoordinator(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.toCoordinator.length = 0;
    this.stream.emit('close');
    this.toWorker.push('end');
  }

  describe(): string {
    const said = this.toCoordinator.map((message) => tell(message.$case, unitOf(message)));
    const heard = this.toWorker.map((message) => (message === 'end' ? 'end' : tell(message.$case, versionOf(message))));
    return `${this.generation}>${said.join(',')}<${heard.join(',')}`;
  }
}

const tell = (what: string, of: string): string => `${what}${of}`;

function unitOf(message: ToCoordinator): string {
  if (message.$case !== 'leaseTaken' && message.$case !== 'leaseReturned' && message.$case !== 'unitFailure') return '';
  return nameOf(message.value.unit);
}

function nameOf(unit: UnitId | undefined): string {
  return unit === undefined ? '' : `${unit.lineage}.${unit.step}.${unit.index}.${unit.attempt}`;
}

function versionOf(message: ToWorker): string {
  if (message.$case === 'offer') return nameOf(message.value.unit?.id);
  if (message.$case !== 'version') return '';
  const { id } = message.value;
  return id === undefined ? '' : `${id.lineage}.${id.step}`;
}
