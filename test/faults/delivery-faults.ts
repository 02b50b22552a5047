import { headers, type NatsConnection } from 'nats';
import { connectBus } from '@showtell/shared/bus/connect.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { Unit, type UnitId } from '@showtell/shared/generated/showtell/v1/unit.js';
import { Plan } from '@showtell/shared/plan/plan.js';
import { random } from '@showtell/shared/random.js';
import { seal } from '@showtell/shared/rpc/seal.js';
import type { FaultContext } from './fault-context.js';
import type { LabRun } from './lab-run.js';

/** Publishes a message straight to the stream, as if the coordinator had. */
type Publish = (lane: 'now' | 'ahead', bytes: Uint8Array) => Promise<void>;

async function toStream(run: LabRun, work: (publish: Publish, facts: UnitFacts) => Promise<void>): Promise<boolean> {
  let bus: NatsConnection | null = null;
  try {
    bus = await connectBus({ servers: [run.natsUrl], name: 'lab', giveUpAfterMs: 1_000 });
    const folder = new RunFolder(run.run);
    const facts = { run: folder.identity().run, generation: folder.newestGeneration() };
    const client = bus.jetstream();
    let number = 0;
    await work(async (lane, bytes) => {
      const subject = `showtell.${facts.run}.g${facts.generation}.units.${lane}.lab.${Date.now()}.${number++}`;
      await client.publish(subject, bytes, { headers: headers(), timeout: 1_000 });
    }, facts);
    return true;
  } catch {
    // nats-server is down, or the stream is: nothing was harmed.
    return false;
  } finally {
    await bus?.close().catch(() => undefined);
  }
}

type UnitFacts = Pick<UnitId, 'run' | 'generation'>;

function trainingUnit(run: LabRun, id: Omit<UnitId, 'evaluation'>, ofStep = id.step): Uint8Array {
  const planned = new Plan(run.job, run.lab.dataset.split('train')).units(ofStep)[id.index];
  const value = { records: [...(planned?.records ?? [])], seed: planned?.seed ?? 0, oldestVersion: ofStep };
  const { jobSha256 } = new RunFolder(run.run).identity();
  return seal(
    Unit.encode({ id: { ...id, evaluation: false }, jobSha256, work: { $case: 'training', value } }).finish(),
  );
}

/** Further offers of the units of the current step and the next: several workers compute the same. */
export function duplicateDeliveries({ run, fault }: FaultContext): Promise<boolean> {
  return toStream(run, async (publish, facts) => {
    for (let copy = 0; copy < fault.amount; copy++)
      for (const step of [run.step, run.step + 1])
        for (let index = 0; index < run.job.batch.units; index++)
          await publish(
            copy % 2 === 0 ? 'now' : 'ahead',
            trainingUnit(run, { ...facts, lineage: 1, step, index, attempt: 1 + (copy % 3) }),
          );
  });
}

/** Offers of steps that are over, of another generation and of another lineage. */
export function staleDeliveries({ run, fault }: FaultContext): Promise<boolean> {
  return toStream(run, async (publish, facts) => {
    const step = Math.max(0, run.step - 1);
    const { generation } = facts;
    for (let i = 0; i < fault.amount; i++) {
      await publish(
        'now',
        trainingUnit(run, { ...facts, lineage: 1, step: Math.max(0, step - i), index: 0, attempt: 1 }),
      );
      await publish(
        'now',
        trainingUnit(run, { ...facts, generation: generation + 7, lineage: 1, step, index: 1, attempt: 1 }),
      );
      await publish(
        'ahead',
        trainingUnit(run, { ...facts, generation: 0, lineage: 1, step: step + 1, index: 0, attempt: 1 }),
      );
      await publish('ahead', trainingUnit(run, { ...facts, lineage: 0, step: step + 1, index: 1, attempt: 1 }));
    }
  });
}

/** Random bytes, a message without content, and the first half of a unit, with and without a seal. */
export function garbageDeliveries({ run, fault }: FaultContext): Promise<boolean> {
  const draw = random(run.schedule.seed, 'garbage');
  return toStream(run, async (publish, facts) => {
    const sound = trainingUnit(run, { ...facts, lineage: 1, step: run.step, index: 0, attempt: 9 });
    for (let i = 0; i < fault.amount; i++) {
      await publish(
        'now',
        Uint8Array.from({ length: 1 + draw.integer(64) }, () => draw.integer(256)),
      );
      await publish('now', new Uint8Array());
      for (const half of [sound.subarray(0, sound.length >> 1), seal(sound.subarray(0, sound.length >> 1))])
        await publish('ahead', half);
    }
  });
}
