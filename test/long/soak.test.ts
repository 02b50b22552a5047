import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { cacheFolder } from '@showtell/shared/set-up/cache-folder.js';
import { expect, it } from 'vitest';
import { linesOf, LocalCluster, logsOf, pidOf } from '../support/local-run.js';
import { medianOf, memoryGrowth, type MemorySample } from '../support/soak-figures.js';

/** SHOWTELL_SOAK_STEPS asks for fewer. */
const steps = Number(process.env['SHOWTELL_SOAK_STEPS'] ?? 200_000);
/** Kept until the test has passed: what stopped goes on. */
const folder = join(cacheFolder(), 'soak', String(steps));
const run = join(folder, 'run');
const samplesFile = join(folder, 'memory.jsonl');
const churnMs = 8_000;
const sampleMs = 2_000;

/** A process that is gone, or not there yet, is looked at the next time. */
const nothing = (): void => undefined;

const cluster = LocalCluster.open();
/** A model so small that a step is queue, gRPC and barrier. */
const job = {
  name: 'soak',
  model: { encoder: { depthMultiplier: 0.1, imageSize: 75 }, decoder: { embedding: 8, units: 8, vocabulary: 64 } },
  batch: { examples: 6, units: 3, captionLengths: [16] },
  augmentation: { enabled: false, resize: 0 },
  optimizer: { name: 'momentum' },
  phases: { decoderOnly: { steps, learningRate: 0.01, decay: null }, joint: { steps: 0 } },
  evaluation: { everySteps: 5_000, perplexityExamples: 8, captionImages: 0, unitExamples: 8, sampleImages: 0 },
  checkpoints: { everySteps: 500, keepLast: 3 },
  engine: { threads: 1 },
};

/** Resident bytes of a process; null once it is gone. */
function residentBytes(pid: number): number | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}

/** How often each process was looked at. */
const seen = new Map<number, number>();
/** Of those that are killed all the time, each is looked at once, at the same age. */
const ofAge = 5;

async function sample(step: number, coordinator: number): Promise<void> {
  const lasting = { coordinator, nats: await pidOf(run, 'nats'), 'worker-1': await pidOf(run, 'worker-1') };
  const killed = { 'worker-2': await pidOf(run, 'worker-2'), 'worker-3': await pidOf(run, 'worker-3') };
  const note = (name: string, pid: number, process: number): void => {
    const bytes = residentBytes(process);
    const taken: MemorySample = { name, pid, step, bytes: bytes ?? 0 };
    if (bytes !== null) appendFileSync(samplesFile, `${JSON.stringify(taken)}\n`);
  };
  for (const [name, pid] of Object.entries(lasting)) note(name, pid, pid);
  for (const [name, pid] of Object.entries(killed)) {
    seen.set(pid, (seen.get(pid) ?? 0) + 1);
    if (seen.get(pid) === ofAge) note(name, 0, pid);
  }
}

it(
  `${steps} steps with workers that are killed all the time: neither memory nor a step's time grows`,
  async () => {
    mkdirSync(folder, { recursive: true });
    await cluster.drawData();
    const command = cluster.train(run, { workers: 3, job: cluster.writeJob('soak', job) });
    await command.until('a step', ({ type }) => type === 'step' || type === 'finished');
    let kills = 0;
    const every = async (ms: number, work: () => Promise<void>): Promise<void> => {
      while (!command.isOver) {
        // A process that does not come any more is not waited for.
        await Promise.race([work().catch(nothing), command.ended]);
        await delay(ms);
      }
    };
    await Promise.all([
      every(sampleMs, () => sample(command.step, command.pid)),
      every(churnMs, async () => {
        const pid = await pidOf(run, `worker-${2 + (kills++ % 2)}`);
        process.kill(pid, 'SIGKILL');
      }),
    ]);
    expect(await command.ended, logsOf(run)).toMatchObject({ code: 0 });

    const taken = linesOf<{ step: number; seconds: number }>(join(run, 'steps.jsonl'));
    expect(taken.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, step) => step));
    const tenth = (i: number): number =>
      medianOf(taken.slice((i * steps) / 10, ((i + 1) * steps) / 10).map(({ seconds }) => seconds));
    const tenths = Array.from({ length: 10 }, (_, i) => (tenth(i) * 1000).toFixed(1));
    const growths = memoryGrowth(existsSync(samplesFile) ? linesOf<MemorySample>(samplesFile) : [], steps / 10);
    const told = growths.map(({ name, from, to, perTenThousand }) => `${name} ${from}..${to}: ${perTenThousand} MB`);
    process.stdout.write(
      `${kills} kills; median step by tenths ${tenths.join(', ')} ms; memory by 10,000 steps: ${told.join('; ')}\n`,
    );
    expect(tenth(9) / tenth(1)).toBeLessThanOrEqual(1.1);
    // Over fewer steps what caches still take would count as growth.
    const telling = growths.filter(({ from, to }) => to - from >= 5_000);
    for (const growth of telling) expect(growth.perTenThousand, JSON.stringify(growth)).toBeLessThanOrEqual(1);
    // Of a run in many short pieces no process lasted long enough.
    if (steps >= 20_000)
      expect([...new Set(telling.map(({ name }) => name))].sort()).toEqual(
        ['coordinator', 'nats', 'worker-1', 'worker-2', 'worker-3'].sort(),
      );
    rmSync(folder, { recursive: true, force: true });
  },
  24 * 3_600_000,
);
