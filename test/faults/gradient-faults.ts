import { setTimeout as delay } from 'node:timers/promises';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { Phase, Verdict } from '@showtell/shared/generated/showtell/v1/parameters.js';
import type { UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { parametersOf } from '@showtell/shared/model/parameters.js';
import { layOut } from '@showtell/shared/tensors/layout.js';
import { ScriptedWorker, type Deed } from '../support/scripted-worker.js';
import type { FaultContext } from './fault-context.js';
import type { LabRun } from './lab-run.js';

/** How long a worker of the lab waits for a unit to spoil. */
const patienceMs = 3_000;

function join(run: LabRun, deed: (id: UnitId, worker: ScriptedWorker) => Deed): ScriptedWorker {
  const { jobSha256, datasetDigest } = new RunFolder(run.run).identity();
  const layout = layOut(parametersOf(run.job.model));
  return new ScriptedWorker(run.grpcAddress, layout, { jobSha256, datasetDigest }, { id: 'rogue', deed });
}

/** A worker takes one unit, answers it with values that are not finite, and goes. */
export async function notFinite({ run, isOver }: FaultContext): Promise<boolean> {
  const answers: Promise<Verdict | null>[] = [];
  const worker = join(run, (id, rogue) => {
    if (id.evaluation || answers.length > 0) return 'give-back';
    answers.push(pushNotFinite(run, id, rogue));
    return 'vanish';
  });
  try {
    for (let waited = 0; answers.length === 0 && waited < patienceMs && !isOver(); waited += 20) await delay(20);
    return (await Promise.all(answers)).includes(Verdict.VERDICT_INVALID);
  } finally {
    await worker[Symbol.asyncDispose]();
  }
}

async function pushNotFinite(run: LabRun, id: UnitId, rogue: ScriptedWorker): Promise<Verdict | null> {
  const phase = rogue.versions.at(-1)?.phase ?? Phase.PHASE_UNSPECIFIED;
  const answer = await rogue.push(id, 0, phase, {}, (i) => (i % 2 === 0 ? Number.NaN : 1)).catch(() => null);
  if (answer?.verdict === Verdict.VERDICT_INVALID)
    run.refused.set(id.generation, (run.refused.get(id.generation) ?? 0) + 1);
  return answer?.verdict ?? null;
}

/** Gradients of the greatest float32 for steps gone by and units that are none: whatever is accepted would be seen. */
export async function huge({ run, fault, isOver }: FaultContext): Promise<boolean> {
  await using worker = join(run, () => 'give-back');
  const welcomed = await Promise.race([worker.answered, delay(patienceMs)]);
  if (welcomed === undefined || !('welcome' in welcomed)) return false;
  const { run: name, generation } = welcomed.welcome;
  for (let waited = 0; worker.versions.length === 0 && waited < patienceMs && !isOver(); waited += 20) await delay(20);
  const step = worker.versions.at(-1)?.id?.step ?? 0;
  const phase = worker.versions.at(-1)?.phase ?? Phase.PHASE_UNSPECIFIED;
  let refused = 0;
  for (let i = 0; i < fault.amount; i++) {
    const id = {
      run: name,
      generation,
      lineage: 1,
      step: step - 1 - (i % 3),
      index: i % 2,
      attempt: 1,
      evaluation: false,
    };
    if (id.step < 0) continue;
    const answer = await worker.push(id, 0, phase, {}, () => 3e38).catch(() => null);
    if (answer !== null && answer.verdict !== Verdict.VERDICT_ACCEPTED) refused++;
  }
  return refused > 0;
}
