import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type CheckpointContent, CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { diffTensors } from '@showtell/coordinator/checkpoints/diff.js';
import { optimizerTensors } from '@showtell/coordinator/checkpoints/optimizer-tensors.js';
import { toPrune } from '@showtell/coordinator/checkpoints/retention.js';
import { checkpointFolder } from '@showtell/coordinator/cli/checkpoint-folder.js';
import { locateCheckpoint } from '@showtell/coordinator/cli/checkpoint-location.js';
import { hashTensors } from '@showtell/shared/tensors/hash.js';
import { allocateSegments, layOut, type Segments, tensorView } from '@showtell/shared/tensors/layout.js';
import { readSafetensorsHeader } from '@showtell/shared/tensors/safetensors.js';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.js';

const layout = layOut([
  { name: 'lstm/kernel', shape: [5, 7], group: 'decoder' },
  { name: 'seq_embedding/map', shape: [3, 4], group: 'embedding' },
  { name: 'conv/weights', shape: [2, 2], group: 'encoder' },
  { name: 'conv/moving_mean', shape: [2], group: 'statistics' },
]);
const zeros = '0'.repeat(64);

function values(first: number): Segments {
  const segments = allocateSegments(layout);
  let next = first;
  for (const entry of layout.entries) tensorView(segments, entry).forEach((_, i, view) => (view[i] = next += 0.5));
  return segments;
}

function content(step: number, more: Partial<CheckpointContent> = {}, bleu4: number | null = null): CheckpointContent {
  return {
    about: {
      run: 'r',
      step,
      phase: 'joint',
      switchedAt: 3,
      phaseHistory: [
        { phase: 'decoder-only', fromStep: 0 },
        { phase: 'joint', fromStep: 3 },
      ],
      lineage: 0,
      generation: 1,
      examples: step * 32,
      job: { seed: 1 },
      jobSha256: zeros,
      datasetDigest: zeros,
      vocabularySha256: zeros,
      canaries: { 'train joint': zeros },
      metrics: { bleu4 },
    },
    layout,
    parameters: values(step),
    optimizer: null,
    ...more,
  };
}

async function withStore(body: (store: CheckpointStore, directory: string) => Promise<void>): Promise<void> {
  const directory = path.join(temporaryFolder(), 'checkpoints');
  await using store = CheckpointStore.open(directory);
  await body(store, directory);
}

it.runIf(process.platform === 'linux')('what saves gives way to steps where cores are short', () =>
  withStore(async (store) => {
    /** The nice value is the 19th field, and the name before it may hold spaces. */
    const niceOf = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]);
    const niceness = (): number[] =>
      readdirSync('/proc/self/task').map((task) => niceOf(readFileSync(`/proc/self/task/${task}/stat`, 'utf8')));
    const usual = Math.max(...niceness());
    await store.save(content(1));
    expect(niceness().filter((nice) => nice > usual)).toEqual([10]);
  }),
);

it('the best has the highest BLEU-4, the later of equals, and there is none before an evaluation', () =>
  withStore(async (store, directory) => {
    await store.save(content(1));
    const run = path.dirname(directory);
    expect(() => checkpointFolder(`${run}@best`)).toThrow('none that was evaluated with captions');
    await store.save(content(2, {}, 0.5));
    await store.save(content(3, {}, 0.5));
    await store.save(content(4, {}, 0.2));
    for (const locate of [checkpointFolder, locateCheckpoint]) {
      expect(locate(`${run}@best`)).toBe(store.pathOf(3));
      expect(locate(`${run}@2`)).toBe(store.pathOf(2));
      expect(locate(run)).toBe(store.pathOf(4));
    }
  }));

it('what is saved is read back to the bit, with the documented hashes', () =>
  withStore(async (store) => {
    const kept = { name: 'momentum', slots: [values(100)], powers: null } as const;
    const about = { ...content(7).about, job: { optimizer: { name: 'momentum' } } };
    const saved = await store.save(content(7, { about, optimizer: kept }));
    expect(saved.path).toMatch(/checkpoints\/00000007$/);
    expect(readdirSync(saved.path).sort()).toEqual([
      'manifest.json',
      'optimizer.safetensors',
      'parameters.safetensors',
    ]);
    const read = await store.read(7, layout);
    for (const { name, segment } of layout.entries) {
      expect(tensorView(read.parameters, layout.entry(name))).toEqual(tensorView(values(7), layout.entry(name)));
      if (segment !== 'statistics')
        expect(tensorView(read.optimizer!.slots[0]!, layout.entry(name))).toEqual(
          tensorView(values(100), layout.entry(name)),
        );
    }
    const { parameters, optimizer, examples, phaseHistory } = read.manifest;
    const named = layout.entries.map((entry) => ({ ...entry, values: tensorView(values(7), entry) }));
    expect(parameters).toEqual({ count: 53, bytes: 212, sha256: hashTensors(named) });
    expect(optimizer.bytes).toBe(51 * 4);
    expect([examples, phaseHistory.length]).toEqual([224, 2]);
    expect(store.has(7)).toBe(true);
    expect(store.has(8)).toBe(false);
  }));

it.each([
  ['rmsprop', ['/RMSProp', '/RMSProp_1'], null, []],
  ['adam', ['/Adam', '/Adam_1'], { beta1: Math.fround(0.3), beta2: Math.fround(0.7) }, ['beta1_power', 'beta2_power']],
  ['adagrad', ['/Adagrad'], null, []],
] as const)("%s's state is read back to the bit, under TensorFlow's names", (name, suffixes, powers, scalars) =>
  withStore(async (store) => {
    const kept = { name, slots: suffixes.map((_, i) => values(100 + 100 * i)), powers };
    const about = { ...content(7).about, job: { optimizer: { name } } };
    const saved = await store.save(content(7, { about, optimizer: kept }));
    const read = (await store.read(7, layout)).optimizer!;
    expect([read.name, read.powers]).toEqual([name, powers]);
    const trained = layout.entries.filter(({ segment }) => segment !== 'statistics');
    for (const [i, slot] of kept.slots.entries())
      for (const entry of trained) expect(tensorView(read.slots[i]!, entry)).toEqual(tensorView(slot, entry));
    const stored = readSafetensorsHeader(path.join(saved.path, 'optimizer.safetensors'));
    expect(stored.entries.map((entry) => entry.name).sort()).toEqual(
      [...trained.flatMap((entry) => suffixes.map((suffix) => entry.name + suffix)), ...scalars].sort(),
    );
    expect(saved.manifest.optimizer.sha256).toBe(hashTensors(optimizerTensors(layout, kept)));
  }),
);

it("another optimizer's state than the job names is refused by the tensor that is missing", () =>
  withStore(async (store) => {
    const kept = { name: 'momentum', slots: [values(100)], powers: null } as const;
    const about = { ...content(7).about, job: { optimizer: { name: 'adam' } } };
    await store.save(content(7, { about, optimizer: kept }));
    await expect(store.read(7, layout)).rejects.toMatchObject({
      code: 'parameters/state-mismatch',
      message: expect.stringMatching(/it has no .*\/Adam/) as unknown,
    });
  }));

it.each(['toString', '__proto__', 'sdg'])('a checkpoint whose optimizer is called %s is damaged', (name) =>
  withStore(async (store) => {
    const kept = { name: 'momentum', slots: [values(100)], powers: null } as const;
    const about = { ...content(7).about, job: { optimizer: { name } } };
    await store.save(content(7, { about, optimizer: kept }));
    await expect(store.read(7, layout)).rejects.toMatchObject({
      code: 'checkpoint/damaged',
      message: expect.stringContaining(name) as unknown,
    });
  }),
);

it('saving again under a step replaces it', () =>
  withStore(async (store, directory) => {
    await store.save(content(7));
    await store.save(content(7, { parameters: values(55) }));
    expect(readdirSync(directory)).toEqual(['00000007']);
    expect((await store.read(7, layout)).parameters.decoder[0]).toBe(55.5);
  }));

describe('damage', () => {
  it.each(['parameters.safetensors', 'manifest.json'])('a flipped bit in %s is passed over, by name', async (file) => {
    const directory = path.join(temporaryFolder(), 'checkpoints');
    const reported: string[] = [];
    await using store = CheckpointStore.open(directory, {
      onDamaged: (folder, error) => reported.push(`${folder}: ${error.message}`),
    });
    for (const step of [5, 6]) await store.save(content(step));
    const damaged = path.join(store.pathOf(6), file);
    const bytes = readFileSync(damaged);
    // In the middle: a value, or a digit of the manifest.
    bytes[Math.floor(bytes.length / 2)]! ^= 1;
    writeFileSync(damaged, bytes);
    const newest = await store.newestSound(layout);
    expect(newest?.manifest.step).toBe(5);
    expect(reported).toHaveLength(1);
    expect(reported[0]).toContain('00000006');
    expect(reported[0]).toContain(file);
    await expect(store.verify(6)).rejects.toMatchObject({ code: 'checkpoint/damaged' });
  });

  it('a truncated or missing file, and nothing sound at all', () =>
    withStore(async (store) => {
      await store.save(content(5));
      writeFileSync(path.join(store.pathOf(5), 'parameters.safetensors'), 'x');
      await expect(store.verify(5)).rejects.toThrow('parameters.safetensors has 1 bytes instead of');
      rmSync(path.join(store.pathOf(5), 'parameters.safetensors'));
      await expect(store.verify(5)).rejects.toThrow('parameters.safetensors is missing');
      expect(await store.newestSound(layout)).toBeNull();
      await expect(store.verify(4)).rejects.toMatchObject({ code: 'checkpoint/missing' });
    }));

  it("another model's checkpoint is an error, not damage", () =>
    withStore(async (store) => {
      await store.save(content(5));
      const other = layOut([{ name: 'lstm/kernel', shape: [5, 8], group: 'decoder' }]);
      await expect(store.newestSound(other)).rejects.toThrow('lstm/kernel is [5, 7] there and [5, 8] in the model');
    }));
});

it('leftovers of interrupted writes go when the folder is opened; a replaced one comes back', () =>
  withStore(async (store, directory) => {
    await store.save(content(5));
    await store.save(content(6));
    mkdirSync(path.join(directory, '00000007.writing'));
    writeFileSync(path.join(directory, '00000007.writing', 'parameters.safetensors'), 'half');
    // Killed between moving the old one aside and the new one in.
    renameSync(store.pathOf(6), `${store.pathOf(6)}.replaced`);
    CheckpointStore.open(directory);
    expect(readdirSync(directory)).toEqual(['00000005', '00000006']);
    expect((await store.newestSound(layout))?.manifest.step).toBe(6);
  }));

it('what a save that failed could not remove goes with the next one', () =>
  withStore(async (store, directory) => {
    mkdirSync(path.join(directory, '00000004.writing'));
    await store.save(content(5));
    expect(readdirSync(directory)).toEqual(['00000005']);
  }));

describe('retention', () => {
  it.each<[string, Parameters<typeof toPrune>, number[]]>([
    [
      'the last',
      [[1, 2, 3].map((step) => ({ step, pinned: false, bleu4: null })), { keepLast: 2, keepBest: true }],
      [1],
    ],
    [
      'the best, the later among equals, and the pinned',
      [
        [0.3, 0.5, 0.5, 0.2, 0.1].map((bleu4, i) => ({ step: i + 1, pinned: i === 0, bleu4 })),
        { keepLast: 1, keepBest: true },
      ],
      [2, 4],
    ],
    [
      'no best',
      [[0.5, 0.1].map((bleu4, i) => ({ step: i + 1, pinned: false, bleu4 })), { keepLast: 1, keepBest: false }],
      [1],
    ],
  ])('keeps %s', (_, arguments_, expected) => {
    expect(toPrune(...arguments_)).toEqual(expected);
  });

  it('is applied after a save; a dry run removes nothing', async () => {
    const directory = path.join(temporaryFolder(), 'checkpoints');
    await using store = CheckpointStore.open(directory, { retention: { keepLast: 2, keepBest: true } });
    await store.save(content(1, { pinned: true }));
    await store.save(content(2, {}, 0.9));
    for (const step of [3, 4, 5]) await store.save(content(step, {}, 0.1));
    expect(readdirSync(directory)).toEqual(['00000001', '00000002', '00000004', '00000005']);
    expect(store.list().map(({ pinned }) => pinned)).toEqual([true, false, false, false]);
    expect(store.prune({ keepLast: 1, keepBest: false }, true)).toEqual([2, 4]);
    expect(store.list()).toHaveLength(4);
    store.pin(2);
    expect(store.prune({ keepLast: 1, keepBest: false })).toEqual([4]);
  });

  it('that fails is told of, and the checkpoint is saved all the same', async () => {
    const directory = path.join(temporaryFolder(), 'checkpoints');
    const told: string[] = [];
    const retention = { keepLast: 1, keepBest: true };
    await using store = CheckpointStore.open(directory, { retention, onNotRemoved: (detail) => told.push(detail) });
    // No manifest can be read from a folder.
    mkdirSync(path.join(directory, '00000001', 'manifest.json'), { recursive: true });
    await store.save(content(2));
    expect(told).toEqual([expect.stringContaining('EISDIR')]);
    expect(await store.verify(2)).toMatchObject({ step: 2 });
    rmSync(path.join(directory, '00000001'), { recursive: true });
    await store.save(content(3));
    expect(told).toHaveLength(1);
    expect(readdirSync(directory)).toEqual(['00000003']);
  });
});

const canMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

it.skipIf(!canMount)(
  'a full disk is an error that names the path, and the checkpoint before stays (needs root to mount)',
  async () => {
    const directory = temporaryFolder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
    if (mounted.status !== 0) throw new Error(mounted.stderr.toString());
    try {
      const big = layOut([{ name: 'w', shape: [8_000], group: 'decoder' }]);
      const state = { layout: big, parameters: allocateSegments(big) };
      await using store = CheckpointStore.open(directory);
      await store.save(content(1, state));
      const failing = store.save(content(2, state));
      await expect(failing).rejects.toMatchObject({ code: 'checkpoint/write-failed' });
      await expect(failing).rejects.toThrow(/00000002 could not be written: ENOSPC/);
      expect(readdirSync(directory)).toEqual(['00000001']);
      expect((await store.newestSound(big))?.manifest.step).toBe(1);
      rmSync(store.pathOf(1), { recursive: true });
      await store.save(content(3, state));
      expect((await store.newestSound(big))?.manifest.step).toBe(3);
    } finally {
      spawnSync('umount', [directory]);
    }
  },
);

it('a difference by tensor: identical, apart, of another shape, missing, added', () =>
  withStore(async (store) => {
    await store.save(content(1));
    const changed = values(1);
    tensorView(changed, layout.entry('conv/weights'))[1]! += 2;
    await store.save(content(2, { parameters: changed }));
    const other = layOut([
      { name: 'lstm/kernel', shape: [7, 5], group: 'decoder' },
      { name: 'new', shape: [1], group: 'decoder' },
    ]);
    await store.save(content(3, { layout: other, parameters: allocateSegments(other) }));
    const [a, b, c] = [1, 2, 3].map((step) =>
      readSafetensorsHeader(path.join(store.pathOf(step), 'parameters.safetensors')),
    );
    const apart = diffTensors(a!, b!);
    expect(apart.tensors.filter(({ identical }) => !identical)).toMatchObject([
      { name: 'conv/weights', maxAbsolute: 2 },
    ]);
    const far = diffTensors(a!, c!);
    expect(far.added).toEqual(['new']);
    expect(far.missing).toEqual(['conv/moving_mean', 'conv/weights', 'seq_embedding/map']);
    expect(far.tensors).toMatchObject([{ name: 'lstm/kernel', maxAbsolute: null }]);
  }));

describe('the commands', () => {
  const bin = new URL('../../../packages/coordinator/bin/showtell.js', import.meta.url).pathname;
  const showtell = (...rest: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [bin, 'checkpoint', ...rest], { encoding: 'utf8' });

  it('list, show, verify, prune', async () => {
    const run = temporaryFolder();
    await using store = CheckpointStore.open(path.join(run, 'checkpoints'));
    for (const step of [1, 2, 3]) await store.save(content(step));
    const shown = JSON.parse(showtell('show', run, '--json').stdout) as Record<string, unknown>;
    expect(shown).toMatchObject({ step: 3, phase: 'joint', examples: 96, parameters: { count: 53, bytes: 212 } });
    expect(shown).toHaveProperty('optimizer.bytes', 0);
    expect(JSON.parse(showtell('show', `${run}@2`, '--json').stdout)).toMatchObject({ step: 2 });
    expect(showtell('show', `${run}@9`).status).toBe(66);
    expect(showtell('prune', run, '--keep', '2', '--dry-run').stdout).toContain('would remove steps 1; 2, 3 stay');
    writeFileSync(path.join(store.pathOf(2), 'parameters.safetensors'), 'x');
    const verified = showtell('verify', run, '--json');
    expect(verified.status).toBe(65);
    expect((JSON.parse(verified.stdout) as { sound: boolean }[]).map(({ sound }) => sound)).toEqual([
      true,
      false,
      true,
    ]);
    expect(showtell('prune', run, '--keep', '1').status).toBe(0);
    const listed = JSON.parse(showtell('list', run, '--json').stdout) as { step: number }[];
    expect(listed.map(({ step }) => step)).toEqual([3]);
    expect(existsSync(store.pathOf(1))).toBe(false);
  }, 60_000);
});
