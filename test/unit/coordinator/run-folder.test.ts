import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CheckpointStore } from '@showtell/coordinator/checkpoints/checkpoint-store.js';
import { Journal, type JournalEntry } from '@showtell/coordinator/journal.js';
import { RunFolder, type CoordinatorProcess, type RunIdentity } from '@showtell/coordinator/run-folder.js';
import { resumeRun } from '@showtell/coordinator/resume-run.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { ownIdentity } from '@showtell/shared/service/process-identity.js';
import { allocateSegments, layOut } from '@showtell/shared/tensors/layout.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const identity: RunIdentity = {
  run: 'test-1',
  created: '2026-01-01T00:00:00.000Z',
  version: '0.1.0',
  jobSha256: 'a',
  datasetDigest: 'd',
  vocabularySha256: 'v',
  encoderWeightsSha256: null,
  forkedFrom: null,
};
const job = parseJob({ phases: { decoderOnly: { steps: 10 }, joint: { steps: 5 } } });
const facts = { generation: 1, grpc: '127.0.0.1:1', nats: 'nats://127.0.0.1:2', http: 'http://127.0.0.1:3' };

function begun(): RunFolder {
  const folder = new RunFolder(`${temporaryFolder()}/run`);
  folder.begin(identity, job);
  return folder;
}

/** Saves a checkpoint of a model of one number. */
async function saveScalar(folder: RunFolder, step: number, switchedAt: number | null): Promise<void> {
  await using store = CheckpointStore.open(folder.at('checkpoints'));
  const layout = layOut([{ name: 'logits/biases', shape: [1], group: 'decoder' }]);
  const about = {
    ...{ run: 'r', step, switchedAt, phaseHistory: [], lineage: 1, generation: 1, examples: 1, job: {}, metrics: {} },
    phase: switchedAt === null ? ('decoder-only' as const) : ('joint' as const),
    ...{ jobSha256: '0'.repeat(64), datasetDigest: 'd', vocabularySha256: 'v', canaries: {} },
  };
  await store.save({ about, layout, parameters: allocateSegments(layout), optimizer: null });
}

/** A process of its own that runs `body` with `folder`, a RunFolder, and prints what it returns. */
async function elsewhere(folder: RunFolder, body: string): Promise<{ pid: number; said: string }> {
  const module = import.meta.resolve('@showtell/coordinator/run-folder.js');
  const program = `
    const { RunFolder } = await import(${JSON.stringify(module)});
    const folder = new RunFolder(${JSON.stringify(folder.path)});
    try { console.log(await (async () => { ${body} })()); } catch (error) { console.log(error.code); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = text(child.stdout);
  await once(child, 'exit');
  return { pid: child.pid ?? 0, said: (await said).trim() };
}

describe('RunFolder', () => {
  it('begins with run.json last, each file synced before it has its name, so that none lacks in a run that exists', () => {
    const path = temporaryFolder();
    const words = join(path, 'words.txt');
    writeFileSync(words, 'a 3\n');
    const folder = new RunFolder(join(path, 'run'));
    const { renameSync, fsyncSync } = fs;
    const done: string[] = [];
    fs.renameSync = (from, to) => {
      done.push(`name ${basename(String(to))}`);
      renameSync(from, to);
    };
    fs.fsyncSync = (descriptor) => {
      const file = basename(readlinkSync(`/proc/self/fd/${descriptor}`));
      done.push(`sync ${file.replace(/\.\d+\.tmp$/, '')}`);
      fsyncSync(descriptor);
    };
    syncBuiltinESMExports();
    onTestFinished(() => {
      Object.assign(fs, { renameSync, fsyncSync });
      syncBuiltinESMExports();
    });
    folder.begin(identity, job, words);
    const files = ['job.json', 'word_counts.txt', 'run.json'];
    expect(done).toEqual(files.flatMap((file) => [`sync ${file}`, `name ${file}`, 'sync run']));
    expect(readFileSync(folder.at('word_counts.txt'), 'utf8')).toBe('a 3\n');
  });

  it('begins a run once', () => {
    const folder = new RunFolder(`${temporaryFolder()}/a/b`);
    expect(folder.exists).toBe(false);
    expect(() => folder.identity()).toThrow(expect.objectContaining({ code: 'run/missing' }) as Error);
    expect(() => folder.job()).toThrow(expect.objectContaining({ code: 'run/missing' }) as Error);
    folder.begin(identity, job);
    expect(folder.exists).toBe(true);
    expect(folder.identity()).toEqual(identity);
    expect(folder.job()).toEqual(job);
    expect(() => folder.begin(identity, job)).toThrow(expect.objectContaining({ code: 'run/exists' }) as Error);
    expect(readdirSync(folder.path).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('resumes with the same job, and keeps its longer phases and operational changes', () => {
    const folder = begun();
    const longer = parseJob(job, ['phases.joint.steps=9', 'checkpoints.keepLast=1']);
    resumeRun(folder, longer, identity);
    expect(folder.job()).toEqual(longer);
  });

  it('refuses another job and names every difference', () => {
    const folder = begun();
    const other = parseJob(job, ['seed=2', 'optimizer.clip=1']);
    expect(() => resumeRun(folder, other, { ...identity, jobSha256: 'b' })).toThrow(
      expect.objectContaining({
        code: 'run/other-job',
        facts: { run: folder.path, differences: ['optimizer.clip: 5 → 1', 'seed: 1 → 2'] },
      }) as Error,
    );
    expect(folder.job()).toEqual(job);
  });

  it("names the encoder's weights when only they differ", () => {
    expect(() => resumeRun(begun(), job, { ...identity, jobSha256: 'b' })).toThrow('the file has other content');
  });

  it('refuses other data, and phases that have shrunk', () => {
    const folder = begun();
    expect(() => resumeRun(folder, job, { ...identity, datasetDigest: 'e' })).toThrow(
      expect.objectContaining({ code: 'run/other-data' }) as Error,
    );
    expect(() => resumeRun(folder, parseJob(job, ['phases.joint.steps=4']), identity)).toThrow(
      expect.objectContaining({
        code: 'run/steps-shrunk',
        facts: { field: 'phases.joint.steps', was: 5, now: 4 },
      }) as Error,
    );
  });

  describe('lets no phase grow that is over', () => {
    const switched: JournalEntry = { type: 'switch', step: 7, lineage: 1, reason: 'learnt' };
    const rolledBack: JournalEntry = { type: 'rollback', atStep: 9, toStep: 7, lineage: 2, reason: 'worse' };
    const note = (folder: RunFolder, ...entries: JournalEntry[]): void => {
      using journal = Journal.open(folder.at('journal.jsonl'), () => undefined);
      for (const entry of entries) journal.append(entry);
    };
    const refusal = (field: string, how: string): Error =>
      expect.objectContaining({
        code: 'run/phase-over',
        facts: expect.objectContaining({ field, how }) as unknown,
        remedy: expect.stringContaining('phases.joint.steps') as unknown,
      }) as Error;

    it('by a switch', () => {
      const folder = begun();
      note(folder, switched);
      const more = parseJob(job, ['phases.decoderOnly.steps=11', 'phases.joint.steps=6']);
      expect(() => resumeRun(folder, more, identity)).toThrow(
        refusal('phases.decoderOnly.steps', 'ended at step 7, where the joint one began'),
      );
      expect(folder.job()).toEqual(job);
      resumeRun(folder, parseJob(job, ['phases.joint.steps=6']), identity);
    });

    it('by a rollback', () => {
      const folder = begun();
      note(folder, switched, rolledBack);
      expect(() => resumeRun(folder, parseJob(job, ['phases.joint.steps=6']), identity)).toThrow(
        refusal('phases.joint.steps', 'was rolled back to step 7'),
      );
      resumeRun(folder, job, identity);
    });

    it('by where its fork began, with its own checkpoints or without', async () => {
      const origin = new RunFolder(`${temporaryFolder()}/origin`);
      await saveScalar(origin, 20, 12);
      const fork = new RunFolder(`${temporaryFolder()}/fork`);
      fork.begin({ ...identity, forkedFrom: origin.at('checkpoints', '00000020') }, job);
      const longer = parseJob(job, ['phases.decoderOnly.steps=11']);
      const over = refusal('phases.decoderOnly.steps', 'ended at step 12, where the joint one began');
      expect(() => resumeRun(fork, longer, identity)).toThrow(over);
      await saveScalar(fork, 24, 12);
      rmSync(origin.path, { recursive: true });
      expect(() => resumeRun(fork, longer, identity)).toThrow(over);

      const decoderOnly = new RunFolder(`${temporaryFolder()}/fork`);
      await saveScalar(origin, 4, null);
      decoderOnly.begin({ ...identity, forkedFrom: origin.at('checkpoints', '00000004') }, job);
      resumeRun(decoderOnly, longer, identity);
      expect(decoderOnly.job()).toEqual(longer);
    });
  });
});

describe('generations', () => {
  it('go to one process each, however many claim at once', async () => {
    const folder = begun();
    // None of them lives when the next looks, or it would be refused; so the claim itself is what is tried.
    const claim = 'folder.startingCoordinator = () => undefined; return folder.claimGeneration().number;';
    const claimed = await Promise.all([1, 2, 3, 4].map(() => elsewhere(folder, claim)));
    expect(claimed.map(({ said }) => Number(said)).sort()).toEqual([1, 2, 3, 4]);
    expect(folder.newestGeneration()).toBe(4);
    expect(folder.claimGeneration().number).toBe(5);
  });

  it('are current until the next is claimed', () => {
    const folder = begun();
    const first = folder.claimGeneration();
    first.assertCurrent();
    const second = folder.claimGeneration();
    second.assertCurrent();
    expect(() => first.assertCurrent()).toThrow(
      expect.objectContaining({ code: 'run/superseded', facts: { run: folder.path, own: 1, newest: 2 } }) as Error,
    );
  });

  it('are refused to another process while a coordinator is at work, or about to be', async () => {
    const folder = begun();
    folder.claimGeneration();
    expect(await elsewhere(folder, 'return folder.claimGeneration().number')).toMatchObject({
      said: 'run/already-running',
    });
    using _announced = folder.announceCoordinator(facts);
    expect(await elsewhere(folder, 'return folder.liveCoordinator().pid')).toMatchObject({ said: String(process.pid) });
    expect(await elsewhere(folder, 'return folder.claimGeneration().number')).toMatchObject({
      said: 'run/already-running',
    });
    expect(folder.newestGeneration()).toBe(1);
  });

  it('go on after one whose coordinator was killed', async () => {
    const folder = begun();
    const dead = await elsewhere(
      folder,
      `folder.claimGeneration(); folder.announceCoordinator(${JSON.stringify(facts)}); return 'announced'`,
    );
    expect(dead.said).toBe('announced');
    expect(existsSync(folder.at('processes', 'coordinator.json'))).toBe(true);
    expect(folder.liveCoordinator()).toBeUndefined();
    expect(folder.claimGeneration().number).toBe(2);
  });

  it('go on after a claim that was torn', () => {
    const folder = begun();
    writeFileSync(folder.at('generations', '1'), '{"pid":');
    expect(folder.claimGeneration().number).toBe(2);
  });
});

describe('liveCoordinator', () => {
  it('is not another process that got the same id, nor one of another host', () => {
    const folder = begun();
    const write = (more: Partial<CoordinatorProcess>): void =>
      writeFileSync(
        folder.at('processes', 'coordinator.json'),
        JSON.stringify({ role: 'coordinator', ...ownIdentity(), ...facts, ...more }),
      );
    write({});
    expect(folder.liveCoordinator()?.pid).toBe(process.pid);
    const { startTicks } = ownIdentity();
    write({ startTicks: (startTicks ?? 0) - 1 });
    expect(folder.liveCoordinator()).toBeUndefined();
    write({ host: 'elsewhere' });
    expect(folder.liveCoordinator()).toBeUndefined();
  });

  it('is gone when the announcement is, which leaves a newer one alone', () => {
    const folder = begun();
    {
      using _announced = folder.announceCoordinator(facts);
      expect(folder.liveCoordinator()).toMatchObject(facts);
    }
    expect(folder.liveCoordinator()).toBeUndefined();
    {
      using _overtaken = folder.announceCoordinator(facts);
      folder.announceCoordinator({ ...facts, generation: 2 });
    }
    expect(folder.liveCoordinator()?.generation).toBe(2);
  });
});
