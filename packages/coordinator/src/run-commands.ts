import { ShowtellError } from '@showtell/shared/errors.js';
import type { Job } from '@showtell/shared/job/job.js';
import type { Control } from './control.js';
import type { Journal } from './journal.js';
import type { RunStatus } from './status.js';

/** What a person may ask of a run at work. */
export const runCommands = ['pause', 'resume', 'stop', 'switch'] as const;
export type RunCommand = (typeof runCommands)[number];

export interface RunCommandsParts {
  readonly job: Job;
  readonly control: Control;
  readonly journal: Journal;
  readonly status: () => RunStatus;
}

/** Carries out what a person asks, by whichever way it came; each command is journalled. */
export class RunCommands {
  constructor(private readonly parts: RunCommandsParts) {}

  /** @throws ShowtellError `run/cannot-switch`, `journal/write-failed` */
  do(command: RunCommand): RunStatus {
    const { control, journal, status } = this.parts;
    if (command === 'switch') this.#assertCanSwitch();
    journal.append({ type: 'command', command, step: status().step });
    switch (command) {
      case 'pause':
        control.pause();
        break;
      case 'resume':
        control.resume();
        break;
      case 'stop':
        control.stop();
        break;
      case 'switch':
        control.orderSwitch();
        break;
      default:
        command satisfies never;
    }
    return status();
  }

  #assertCanSwitch(): void {
    const { job, journal, status } = this.parts;
    const refuse = (detail: string): ShowtellError => new ShowtellError('run/cannot-switch', { detail });
    if (status().phase === 'joint') throw refuse('the run is in the joint phase already');
    if (job.phases.joint.steps === 0) throw refuse('its job has no joint phase');
    if (journal.of('rollback').length > 0) throw refuse('it went back from the joint phase and ends decoder-only');
  }
}
