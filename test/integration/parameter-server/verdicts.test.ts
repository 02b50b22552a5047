import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { type GradientHeader, Phase, Verdict, WireType } from '@showtell/shared/generated/showtell/v1/parameters.js';
import { connectParameters } from '@showtell/shared/rpc/channel.js';
import { tensorView } from '@showtell/shared/tensors/layout.js';
import type { UnitGradient } from '@showtell/worker/parameters/client.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { job, layout, randomGradient, randomSegments, startCluster, unitGradient } from './fixture.js';
import { hashSegments } from './reference.js';

const accepted = { verdict: Verdict.VERDICT_ACCEPTED, detail: '' };

function unit(
  version: Parameters<typeof unitGradient>[0],
  index: number,
  more: Partial<UnitGradient> = {},
): UnitGradient {
  return unitGradient(version, index, randomGradient(index).dense, more);
}

describe('first per unit wins', () => {
  it.each([true, false])('a later gradient of another worker is a duplicate (shared memory: %s)', async (shared) => {
    await using cluster = await startCluster({ job: job() });
    const { version } = cluster.server;
    const [a, b] = [await cluster.connect('a', shared), await cluster.connect('b', shared)];
    expect(await a.push(unit(version, 0))).toMatchObject(accepted);
    const other = unitGradient(version, 0, randomGradient(99).dense);
    expect(await b.push(other)).toMatchObject({
      verdict: Verdict.VERDICT_DUPLICATE,
      detail: 'a was first, with attempt 1',
    });
  });

  it('the same attempt of the same worker is told again that it counts, and counts once', async () => {
    await using cluster = await startCluster({ job: job() });
    const { version } = cluster.server;
    const a = await cluster.connect('a');
    const step = cluster.server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
    expect(await a.push(unit(version, 0))).toMatchObject(accepted);
    expect(await a.push(unit(version, 0))).toMatchObject(accepted);
    await Promise.all([a.push(unit(version, 1, { skipped: [2], examples: 3 })), a.push(unit(version, 2))]);
    const { accepted: counted, examples, tokens, loss } = await step;
    expect(counted.map(({ index, worker, examples: n, skipped }) => [index, worker, n, skipped])).toEqual([
      [0, 'a', 4, []],
      [1, 'a', 3, [2]],
      [2, 'a', 4, []],
    ]);
    expect([examples, tokens, loss]).toEqual([11, 120, 2.5]);
  });

  it('of many that race for one unit exactly one counts', async () => {
    await using cluster = await startCluster({ job: job() });
    const { version } = cluster.server;
    const workers = await Promise.all(['a', 'b', 'c', 'd'].map((name, i) => cluster.connect(name, i % 2 === 0)));
    const answers = await Promise.all(workers.map((worker) => worker.push(unit(version, 1))));
    expect(answers.map(({ verdict }) => verdict).sort()).toEqual([
      Verdict.VERDICT_ACCEPTED,
      ...Array<Verdict>(3).fill(Verdict.VERDICT_DUPLICATE),
    ]);
  });
});

describe('stale', () => {
  it('what was computed for another generation, lineage, version or phase', async () => {
    await using cluster = await startCluster({ job: job() });
    const { version } = cluster.server;
    const a = await cluster.connect('a');
    for (const change of [{ generation: 0 }, { lineage: 1 }, { step: 1 }]) {
      const id = { ...version.id!, ...change };
      const { unit: name } = unit(version, 0);
      const answer = await a.push(unit(version, 0, { version: id, unit: { ...name, ...change } }));
      expect(answer.verdict).toBe(Verdict.VERDICT_STALE);
    }
    const { decoder, embedding } = randomGradient(0).dense;
    const other = unit(version, 0, { phase: Phase.PHASE_DECODER_ONLY, dense: { decoder, embedding } });
    expect((await a.push(other)).verdict).toBe(Verdict.VERDICT_STALE);
    const foreign = unit(version, 0);
    const answer = await a.push({ ...foreign, unit: { ...foreign.unit, run: 'another' } });
    expect(answer).toMatchObject({ verdict: Verdict.VERDICT_STALE, detail: 'it belongs to run another, this is test' });
  });

  it('everything of the lineage before a rewind, and a step that waited never comes', async () => {
    await using cluster = await startCluster({ job: job() });
    const { server } = cluster;
    const a = await cluster.connect('a');
    const before = server.version;
    await a.pull(before);
    const step = server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
    step.catch(() => undefined);
    expect(await a.push(unit(before, 0))).toMatchObject(accepted);
    const announced: unknown[] = [];
    server.onVersion(({ id }) => announced.push(id));
    const state = {
      step: 0,
      lineage: 1,
      phase: 'decoder-only',
      parameters: randomSegments(5),
      optimizer: null,
    } as const;
    await server.rewind(state);
    await expect(step).rejects.toThrow('went back');
    expect(announced).toEqual([{ generation: 1, lineage: 1, step: 0 }]);
    expect((await a.push(unit(before, 1))).verdict).toBe(Verdict.VERDICT_STALE);
    // The same step number, and other values: the worker must not take its own for them.
    const pulled = await a.pull(server.version);
    expect(hashSegments(layout, pulled.segments)).toBe(hashSegments(layout, state.parameters));
  });
});

describe('invalid', () => {
  it.each([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
  ])('%s, by the tensor it is in, and the sum is as if it had not come', async (_, value) => {
    await using cluster = await startCluster({ job: job() });
    await using untouched = await startCluster({ job: job() });
    const poisoned = randomGradient(1).dense;
    tensorView(poisoned, layout.entry('encoder/deep/weights'))[70_000] = value;
    const hashes = await Promise.all(
      [cluster, untouched].map(async ({ server, connect }) => {
        const a = await connect('a');
        const { version } = server;
        const step = server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
        await a.push(unit(version, 0));
        if (server === cluster.server)
          expect(await a.push(unitGradient(version, 1, poisoned))).toMatchObject({
            verdict: Verdict.VERDICT_INVALID,
            detail: 'the gradient of encoder/deep/weights is not finite',
          });
        await a.push(unit(version, 2));
        expect(await a.push(unit(version, 1))).toMatchObject(accepted);
        await step;
        return hashSegments(layout, (await a.pull(server.version)).segments);
      }),
    );
    expect(hashes[0]).toBe(hashes[1]);
  });

  it('a unit beyond the plan, a missing segment, rows out of order or beyond the table, too many examples', async () => {
    await using cluster = await startCluster({ job: job() });
    const { version, sharedMemory } = cluster.server;
    const a = await cluster.connect('a', false);
    const { dense } = randomGradient(0);
    const { decoder, encoder, statistics } = dense;
    const cases: [UnitGradient, string][] = [
      [unit(version, 3), "unit 3 is not one of the step's 3"],
      [unit(version, 0, { dense: { decoder, statistics } }), 'segment encoder is missing'],
      [unit(version, 0, { examples: 5 }), '5 examples counted and 0 skipped are no 4 records'],
      [unit(version, 0, { lossSum: Number.NaN }), 'its loss is NaN'],
      [
        unit(version, 0, {
          dense: { decoder, encoder, statistics },
          embeddingRows: { numbers: [4_001], values: new Float32Array(33) },
        }),
        "row 4001 is beyond the embedding's 4001",
      ],
      [
        unit(version, 0, {
          dense: { decoder, encoder, statistics },
          embeddingRows: { numbers: [7, 7], values: new Float32Array(66) },
        }),
        'row 7 does not come after row 7',
      ],
    ];
    for (const [gradient, detail] of cases)
      expect(await a.push(gradient)).toMatchObject({ verdict: Verdict.VERDICT_INVALID, detail });
    // A slot outside the folder is not opened, whatever its name.
    const service = connectParameters(cluster.address);
    const push = (slot: string): Promise<unknown> => {
      const header: GradientHeader = {
        unit: unit(version, 0).unit,
        version: version.id,
        phase: version.phase,
        worker: 'a',
        examples: 4,
        tokens: 1,
        lossSum: 1,
        skipped: [],
        wireType: WireType.WIRE_TYPE_FLOAT32,
        segments: ['decoder', 'embedding', 'encoder', 'statistics'],
        embeddingRows: [],
        slot,
        atShards: false,
        computeSeconds: 0,
        dataSeconds: 0,
      };
      return new Promise((resolve, reject) => {
        const call = service.pushGradient((error, response) => (error === null ? resolve(response) : reject(error)));
        call.write({ message: { $case: 'header', value: header } });
        call.end();
      });
    };
    for (const slot of ['../../etc/passwd', 'nonce', 'decoder.0'])
      expect(await push(slot)).toMatchObject({ verdict: Verdict.VERDICT_INVALID });
    // One that may have been there: nothing is said of the gradient.
    await expect(push('slot-a+1-0')).rejects.toMatchObject({ code: status.INTERNAL });
    service.close();
    expect(sharedMemory).not.toBeNull();
  });
});

it('a unit without examples is valid, and a step without any leaves every value as it was', async () => {
  await using cluster = await startCluster({ job: job() });
  const { server } = cluster;
  const a = await cluster.connect('a');
  const before = hashSegments(layout, (await a.pull(server.version)).segments);
  const step = server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
  const { version } = server;
  for (const index of [0, 1, 2])
    expect(
      await a.push(unit(version, index, { examples: 0, tokens: 0, lossSum: 0, skipped: [0, 1, 2, 3] })),
    ).toMatchObject(accepted);
  expect(await step).toMatchObject({ examples: 0, loss: 0, gradientNorm: 0 });
  expect(server.version.id).toEqual({ generation: 1, lineage: 0, step: 1 });
  expect(hashSegments(layout, (await a.pull(server.version)).segments)).toBe(before);
});

it('a sum that overflows stops the step and leaves the version as it is', async () => {
  await using cluster = await startCluster({ job: job() });
  const { server } = cluster;
  const a = await cluster.connect('a');
  const step = server.step({ step: 0, phase: 'joint', learningRate: 0.1 });
  step.catch(() => undefined);
  const { version } = server;
  const huge = randomSegments(1, 1e38);
  for (const index of [0, 1, 2]) await a.push(unitGradient(version, index, huge));
  await expect(step).rejects.toMatchObject({ code: 'parameters/not-finite' });
  expect(server.version.id?.step).toBe(0);
});

describe('versions', () => {
  const gradients = [0, 1, 2].map((index) => randomGradient(index).dense);

  /** Steps of three units by one worker. */
  async function advance(cluster: Awaited<ReturnType<typeof startCluster>>, by: number): Promise<void> {
    const a = await cluster.connect('advancing');
    for (let i = 0; i < by; i++) {
      const { version } = cluster.server;
      const done = cluster.server.step({ step: version.id!.step, phase: 'joint', learningRate: 0.1 });
      await Promise.all(gradients.map((gradient, index) => a.push(unitGradient(version, index, gradient))));
      await done;
    }
  }

  it('a pinned one stays whole, and is pulled by gRPC, while four more come', async () => {
    await using cluster = await startCluster({ job: job({ optimizer: { name: 'momentum' } }) });
    const { server } = cluster;
    await advance(cluster, 1);
    const old = server.version;
    const pinned = server.pin();
    const { parameters, optimizer } = await pinned.read();
    const hash = hashSegments(layout, parameters);
    const velocity = hashSegments(layout, optimizer!.slots[0]!);
    await advance(cluster, 4);
    expect(hashSegments(layout, parameters)).toBe(hash);
    expect(hashSegments(layout, optimizer!.slots[0]!)).toBe(velocity);
    const late = await cluster.connect('late');
    expect(hashSegments(layout, (await late.pull(old)).segments)).toBe(hash);
    pinned.release();
    pinned.release();
    const later = await cluster.connect('later');
    await expect(later.pull(old)).rejects.toMatchObject({ code: 'parameters/version-gone' });
    expect(hashSegments(layout, (await later.pull(server.version)).segments)).not.toBe(hash);
  });

  it('a reader that is overtaken never gets torn values', async () => {
    await using cluster = await startCluster({ job: job() });
    const reader = await cluster.connect('reader');
    const seen = new Map<number, string>();
    cluster.server.onVersion((version) => {
      const pinned = cluster.server.pinVersion(version.id!);
      seen.set(version.id!.step, hashSegments(layout, pinned.parameters));
      pinned.release();
    });
    const advancing = advance(cluster, 6);
    let read = 0;
    let gone = 0;
    const state = { over: false };
    void advancing.finally(() => (state.over = true));
    while (!state.over) {
      await new Promise((resolve) => setImmediate(resolve));
      const { version } = cluster.server;
      if (version.id!.step === 0) continue;
      try {
        const pulled = await reader.pull(version);
        expect(hashSegments(layout, pulled.segments)).toBe(seen.get(version.id!.step));
        read++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'parameters/version-gone' });
        gone++;
      }
    }
    await advancing;
    expect(read + gone).toBeGreaterThan(0);
  });

  it('an unchanged segment is not read again', async () => {
    await using cluster = await startCluster({
      job: job(),
      state: { step: 0, lineage: 0, phase: 'decoder-only', parameters: randomSegments(1), optimizer: null },
    });
    const { server } = cluster;
    const a = await cluster.connect('a');
    const first = await a.pull(server.version);
    const done = server.step({ step: 0, phase: 'decoder-only', learningRate: 0.1 });
    const { version } = server;
    await Promise.all([0, 1, 2].map((index) => a.push(unit(version, index))));
    await done;
    const second = await a.pull(server.version);
    expect(second.segments.encoder).toBe(first.segments.encoder);
    expect(second.segments.decoder).not.toBe(first.segments.decoder);
    expect(second.changedAt).toEqual({ decoder: 1, embedding: 1, encoder: 0, statistics: 0 });
  });

  it('one that awaits a decision is announced without a phase, and again with the one decided', async () => {
    await using cluster = await startCluster({ job: job() });
    const { server } = cluster;
    const phases: Phase[] = [];
    server.onVersion(({ phase }) => phases.push(phase));
    const a = await cluster.connect('a');
    const done = server.step({ step: 0, phase: 'joint', learningRate: 0.1, nextPhase: null });
    const { version } = server;
    await Promise.all([0, 1, 2].map((index) => a.push(unit(version, index))));
    await done;
    const undecided = { ...server.version, phase: Phase.PHASE_JOINT };
    expect((await a.push(unit(undecided, 0))).verdict).toBe(Verdict.VERDICT_STALE);
    server.setPhase('decoder-only');
    expect(phases).toEqual([Phase.PHASE_UNSPECIFIED, Phase.PHASE_DECODER_ONLY]);
    await a.push(unit(server.version, 0));
    expect(() => server.setPhase('joint')).toThrow('of which units are counted');
  });

  it('a step out of order is refused', async () => {
    await using cluster = await startCluster({ job: job() });
    await expect(cluster.server.step({ step: 1, phase: 'joint', learningRate: 0.1 })).rejects.toMatchObject({
      code: 'parameters/out-of-order',
    });
  });

  it('pulling one that never was is refused as gone', async () => {
    await using cluster = await startCluster({ job: job() });
    const service = connectParameters(cluster.address);
    const call = service.pullVersion({
      id: { generation: 1, lineage: 0, step: 9 },
      segments: ['decoder'],
      wireType: WireType.WIRE_TYPE_FLOAT32,
    });
    const [error] = (await once(call, 'error')) as [unknown];
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION });
    service.close();
  });
});

describe('the folder in shared memory', () => {
  it('of an owner that was killed is removed by the next, a living one is left alone', async () => {
    const parent = temporaryFolder();
    await using living = await startCluster({ job: job(), sharedMemory: parent });
    const script = `
      import { SharedMemory } from '@showtell/coordinator/parameter-server/shared-memory.js';
      import { layOut } from '@showtell/shared/tensors/layout.js';
      const layout = layOut([{ name: 'w', shape: [7], group: 'decoder' }]);
      const parent = ${JSON.stringify(parent)};
      const memory = await SharedMemory.open(parent, 'killed', layout, 'float32', console.error);
      console.log(memory.directory);
      setInterval(() => undefined, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const abandoned = line.toString().trim();
    expect(existsSync(abandoned)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await using next = await startCluster({ job: job(), sharedMemory: parent });
    expect(existsSync(abandoned)).toBe(false);
    expect(existsSync(living.server.sharedMemory!.directory)).toBe(true);
    expect(next.server.sharedMemory).not.toBeNull();
    expect(readdirSync(parent)).toHaveLength(2);
  });

  it('is done without where there is none, with a notice', async () => {
    const notices: string[] = [];
    await using cluster = await startCluster({
      job: job(),
      sharedMemory: '/nonexistent',
      onNotice: (text) => notices.push(text),
    });
    expect(cluster.server.sharedMemory).toBeNull();
    expect(notices).toEqual(['no shared memory at /nonexistent: gradients and parameters travel by gRPC']);
    const a = await cluster.connect('a');
    expect(a.transport).toBe('grpc');
  });

  it('is not used by a worker that reads another nonce there', async () => {
    await using cluster = await startCluster({ job: job() });
    const a = await cluster.connect('a');
    expect(a.transport).toBe('shared-memory');
    const { ParameterClient } = await import('@showtell/worker/parameters/client.js');
    const { directory } = cluster.server.sharedMemory!;
    const service = connectParameters(cluster.address);
    const other = await ParameterClient.open({
      service,
      layout,
      worker: 'b',
      wire: 'float32',
      sharedMemory: { directory, nonce: '00' },
    });
    expect(other.transport).toBe('grpc');
    service.close();
  });

  it('may lose a slot with an older session of its worker: chunks go in its place, and then there is a slot again', async () => {
    await using cluster = await startCluster({ job: job() });
    const { version } = cluster.server;
    const a = await cluster.connect('w1');
    expect(await a.push(unit(version, 0))).toMatchObject({ ...accepted, way: 'shared-memory' });
    await cluster.server.forgetWorker('w1');
    expect(await a.push(unit(version, 1))).toMatchObject({ ...accepted, way: 'grpc' });
    expect(await a.push(unit(version, 2))).toMatchObject({ ...accepted, way: 'shared-memory' });
  });

  it("loses a gone worker's slots and nobody else's", async () => {
    await using cluster = await startCluster({ job: job() });
    const { version, sharedMemory } = cluster.server;
    const [a, other] = [await cluster.connect('w1'), await cluster.connect('w1-2')];
    await a.push(unit(version, 0));
    await other.push(unit(version, 1));
    await cluster.server.forgetWorker('w1');
    const slots = readdirSync(sharedMemory!.directory).filter((name) => name.startsWith('slot-'));
    expect(slots).toEqual([`slot-w1-2+${process.pid}-0`]);
  });
});
