import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readAccount, StepAccount, type AccountedStep } from '@showtell/coordinator/step-account.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const noFailure = (error: unknown): void => {
  throw error as Error;
};

function stepOf(step: number, loss = 1): AccountedStep {
  const units = [{ index: 0, worker: 'ein Wörker', attempt: 1, examples: 8 }];
  const more = { gradientNorm: 1, learningRate: 0.1, seconds: 0.5, units };
  return { step, generation: 1, lineage: 1, phase: 'decoder-only', loss, ...more };
}

async function accountTo(file: string, from: number, until: number, loss = 1): Promise<void> {
  await using account = await StepAccount.open(file, from, noFailure);
  for (let step = from; step < until; step++) account.add(stepOf(step, loss));
}

async function stepsIn(file: string): Promise<[number, number][]> {
  const steps: [number, number][] = [];
  for await (const { step, loss } of readAccount(file)) steps.push([step, loss]);
  return steps;
}

describe('StepAccount', () => {
  it('tells each step once after a resume from an earlier version', async () => {
    const file = join(temporaryFolder(), 'steps.jsonl');
    await accountTo(file, 0, 6);
    await accountTo(file, 4, 7, 2);
    expect(await stepsIn(file)).toEqual([[0, 1], [1, 1], [2, 1], [3, 1], [4, 2], [5, 2], [6, 2]]); // prettier-ignore
  });

  it('leaves out the oldest lines where more wait than are kept, and none beside them: one may be half written', async () => {
    const file = join(temporaryFolder(), 'steps.jsonl');
    await using account = await StepAccount.open(file, 0, noFailure);
    account.add(stepOf(0));
    // It is being written.
    await Promise.resolve();
    for (let step = 1; step <= 20_002; step++) account.add(stepOf(step));
    await account.flush();
    const steps = (await stepsIn(file)).map(([step]) => step);
    expect([steps.length, steps.slice(0, 3), steps.at(-1)]).toEqual([20_000, [0, 4, 5], 20_002]);
  });

  it('begins anew when the run does', async () => {
    const file = join(temporaryFolder(), 'steps.jsonl');
    await accountTo(file, 0, 3);
    await accountTo(file, 0, 1, 2);
    expect(await stepsIn(file)).toEqual([[0, 2]]);
  });

  it('leaves a torn line out, and cuts it off before it goes on', async () => {
    const file = join(temporaryFolder(), 'steps.jsonl');
    await accountTo(file, 0, 3);
    appendFileSync(file, '{"step":3,"gener');
    expect(await stepsIn(file)).toHaveLength(3);
    await accountTo(file, 4, 5);
    expect((await stepsIn(file)).map(([step]) => step)).toEqual([0, 1, 2, 4]);
  });

  it('takes a whole line without an end for a torn one', async () => {
    const file = join(temporaryFolder(), 'steps.jsonl');
    await accountTo(file, 0, 3);
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
    await accountTo(file, 3, 4);
    expect(readFileSync(file, 'utf8')).not.toContain('\0');
    expect((await stepsIn(file)).map(([step]) => step)).toEqual([0, 1, 3]);
  });

  it('is empty where there is no file', async () => {
    expect(await stepsIn(join(temporaryFolder(), 'steps.jsonl'))).toEqual([]);
  });

  it('keeps lines that the disk has no room for, says so once, and writes them when it has', async () => {
    const failures: unknown[] = [];
    const folder = temporaryFolder();
    const file = join(folder, 'steps.jsonl');
    const script = `
      import { StepAccount } from '@showtell/coordinator/step-account.js';
      const [file, line] = process.argv.slice(1);
      let failures = 0;
      const account = await StepAccount.open(file, 0, () => failures++);
      for (let step = 0; step < 30; step++) account.add({ ...JSON.parse(line), step });
      await account.flush();
      process.stdout.write(String(failures));
      process.stdin.once('data', async () => {
        account.add({ ...JSON.parse(line), step: 30 });
        await account[Symbol.asyncDispose]();
        process.exit(0);
      });`;
    // A limit of the file's size refuses as a full disk does: a part of a line is taken, then nothing.
    const line = JSON.stringify(stepOf(0));
    const limit = line.length * 10 + 50;
    const args = [`--fsize=${limit}:unlimited`, process.execPath, '--input-type=module', '-e', script, file, line];
    const child = spawn('prlimit', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    failures.push(said.toString());
    expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(true);
    expect((await stepsIn(file)).length).toBeLessThan(12);
    spawnSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited']);
    child.stdin.write('room');
    await once(child, 'exit');
    expect(failures).toEqual(['1']);
    expect((await stepsIn(file)).map(([step]) => step)).toEqual(Array.from({ length: 31 }, (_, step) => step));
  });

  it('writes nothing once another coordinator leads the run', async () => {
    const file = join(temporaryFolder(), 'steps.jsonl');
    let isOurs = true;
    const mayWrite = (): void => {
      if (!isOurs) throw new Error('superseded');
    };
    const account = await StepAccount.open(file, 0, noFailure, mayWrite);
    account.add(stepOf(0));
    await account.flush();
    isOurs = false;
    account.add(stepOf(1));
    await account[Symbol.asyncDispose]();
    expect(await stepsIn(file)).toEqual([[0, 1]]);
  });

  it('says once that it cannot write', async () => {
    const failures: unknown[] = [];
    const file = join(temporaryFolder(), 'steps.jsonl');
    const account = await StepAccount.open(file, 0, (error) => failures.push(error));
    await account[Symbol.asyncDispose]();
    for (let step = 0; step < 3; step++) account.add(stepOf(step));
    await account[Symbol.asyncDispose]();
    expect(failures).toEqual([expect.objectContaining({ code: 'EBADF' })]);
  });
});
