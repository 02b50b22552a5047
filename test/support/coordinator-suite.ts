import { afterAll, beforeAll } from 'vitest';
import type { RunFolder } from '@showtell/coordinator/run-folder.js';
import { resumeRun } from '@showtell/coordinator/resume-run.js';
import { readAccount, type AccountedStep } from '@showtell/coordinator/step-account.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { newRun, parametersAt, RunningCoordinator, tinyData, tinyJob, type TinyData } from './coordinator-cluster.js';
import { startTestNats, type TestNats } from './nats-server.js';
import type { Deed, Script } from './scripted-worker.js';

/** What a file's tests of the coordinator share. */
export interface CoordinatorSuite {
  readonly nats: TestNats;
  readonly data: TinyData;
  readonly begin: (overrides?: readonly string[], forkedFrom?: string | null) => RunningCoordinator;
  readonly resume: (folder: RunFolder, overrides?: readonly string[]) => RunningCoordinator;
  /** One that knows the answers at every step, so that BLEU never falls. */
  readonly good: (id: string, more?: Partial<Script>) => Script;
  /** The parameters that the whole job comes to, with one worker that never fails. */
  readonly undisturbed: () => Promise<{ final: string; atSwitch: string }>;
}

/** Starts a NATS server and draws a few pictures before a file's tests, and takes both away after them. */
export function coordinatorSuite(): CoordinatorSuite {
  let nats: TestNats;
  let data: TinyData;
  beforeAll(async () => {
    [nats, data] = await Promise.all([startTestNats(), tinyData()]);
  });
  afterAll(async () => {
    await nats[Symbol.asyncDispose]();
    await data[Symbol.asyncDispose]();
  });

  const begin: CoordinatorSuite['begin'] = (overrides = [], forkedFrom = null) => {
    const job = tinyJob(data.dataset, overrides);
    return new RunningCoordinator(newRun(data.dataset, job, forkedFrom), data.dataset, job, nats.url);
  };
  const good: CoordinatorSuite['good'] = (id, more = {}) => ({
    id,
    captions: (_, work) => data.rightCaptions(work),
    ...more,
  });
  let reference: ReturnType<CoordinatorSuite['undisturbed']> | undefined;
  return {
    get nats() {
      return nats;
    },
    get data() {
      return data;
    },
    begin,
    resume: (folder, overrides = []) => {
      const job = parseJob(folder.job(), overrides);
      resumeRun(folder, job, folder.identity());
      return new RunningCoordinator(folder, data.dataset, job, nats.url);
    },
    good,
    undisturbed: () =>
      (reference ??= (async () => {
        const run = begin();
        await run.worker(good('a'));
        await run.ended;
        return { final: parametersAt(run.folder, 8), atSwitch: parametersAt(run.folder, 4) };
      })()),
  };
}

/** Does `deed` for a unit of a step as often as it is told to. */
export function deedAt(step: number, index: number, deed: Deed, times = Infinity, evaluation = false) {
  let done = 0;
  return (id: UnitId): Deed => {
    const isIt = id.step === step && id.index === index && id.evaluation === evaluation;
    return isIt && done++ < times ? deed : 'compute';
  };
}

export async function stepsOf(folder: RunFolder): Promise<AccountedStep[]> {
  const steps: AccountedStep[] = [];
  for await (const step of readAccount(folder.at('steps.jsonl'))) steps.push(step);
  return steps;
}
