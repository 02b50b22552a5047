import { program } from '@showtell/coordinator/cli/program.js';
import { describe, expect, it, vi } from 'vitest';

/** Parses a command line that is wrong. @returns what it says of it */
async function refusal(args: readonly string[]): Promise<string> {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    await (await program([...args])).parseAsync([...args], { from: 'user' });
    return '';
  } catch (error) {
    expect(error).toMatchObject({ code: 'commander.invalidArgument' });
    return (error as Error).message;
  } finally {
    write.mockRestore();
  }
}

describe('options', () => {
  it.each(['1e9', '3651', '0', ''])('certs takes no --days %j', async (days) => {
    expect(await refusal(['certs', '/nowhere', '--days', days])).toContain('an integer from 1 to 3650');
  });
});
