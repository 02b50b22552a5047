import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { program } from '@showtell/coordinator/cli/program.js';

function leaves(command: Command): string[] {
  if (command.commands.length === 0) return [command.name()];
  return command.commands.flatMap((each) =>
    leaves(each).map((words) => (command.parent === null ? words : `${command.name()} ${words}`)),
  );
}

describe('the command line', () => {
  it.each([
    [['evaluate', '--help'], ['evaluate']],
    [['checkpoint', 'list', 'runs/a'], ['checkpoint list']],
    [
      ['data', '--help'],
      ['data build-coco', 'data synth', 'data inspect', 'data verify', 'data push', 'data index'],
    ],
  ])('loads of %j what it may mean', async (args, wanted) => {
    expect(leaves(await program(args))).toEqual(wanted);
  });

  it.each([[[]], [['--help']], [['evalute']], [['stats', 'evaluate']]])('loads every command for %j', async (args) => {
    const all = leaves(await program(args));
    expect(all.length).toBeGreaterThan(30);
    expect(all).toEqual(expect.arrayContaining(['demo', 'doctor', 'checkpoint import', 'engine setup', 'job submit']));
  });
});
