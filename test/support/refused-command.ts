import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const cli = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `showtell checkpoint …` to its end. */
export function checkpointCommand(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1' };
    execFile(process.execPath, [cli, 'checkpoint', ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** A command's arguments, given a folder of its own for what it needs. */
export type Arguments = (folder: string) => readonly string[];
type Case = readonly [what: string, args: Arguments, code: number, ...messages: RegExp[]];

/** Tests of `checkpoint` commands that must be refused, several at a time. */
export function refuses(cases: readonly Case[]): void {
  const named = cases.map(([what, args, code, ...messages]) => ({ what, args, code, messages }));
  it.concurrent.each(named)('$what', async ({ args, code, messages }) => {
    const folder = mkdtempSync(join(tmpdir(), 'showtell-refused-'));
    try {
      await expectRefusal(folder, args(folder), code, messages);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** What went wrong and where, by the messages; what to do; no fault of the program's; and nothing left behind. */
async function expectRefusal(
  folder: string,
  args: readonly string[],
  code: number,
  messages: readonly RegExp[],
): Promise<void> {
  const filesOf = (): readonly string[] => readdirSync(folder, { recursive: true }).map(String).sort();
  const before = filesOf();
  const ended = await checkpointCommand(...args);
  expect(ended, ended.stderr).toMatchObject({ code });
  for (const message of messages) expect(ended.stderr).toMatch(message);
  expect(ended.stderr).toMatch(/→ \S|Add --help/);
  expect(ended.stderr).not.toMatch(/ {4}at .*\.js/);
  expect(filesOf()).toEqual(before);
}
