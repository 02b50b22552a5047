import type { Fault } from './schedule.js';
import type { LabRun } from './lab-run.js';

/** What doing a fault needs. */
export interface FaultContext {
  readonly run: LabRun;
  readonly fault: Fault;
  /** Resolves after the fault's time, or once the run is over. */
  readonly lasts: () => Promise<void>;
  readonly isOver: () => boolean;
}

/** Does a fault and mends it. @returns whether there was anything to harm */
export type Doing = (context: FaultContext) => Promise<boolean>;
