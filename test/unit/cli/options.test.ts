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

const run = ['job.yaml', '--run', 'r', '--data', 'd', '--nats', 'nats://n:4222'];

describe('options', () => {
  it.each([
    ['coordinator', '--grpc-port', ...run],
    ['coordinator', '--http-port', ...run],
    ['ps', '--grpc-port'],
    ['ps', '--http-port'],
    ['board', '--port'],
    ['operator', '--http-port'],
  ])('%s takes no %s beyond the last one', async (command, option, ...more) => {
    expect(await refusal([command, ...more, option, '65536'])).toContain('an integer from 0 to 65535');
  });

  it('coordinator takes no shard at such a port', async () => {
    expect(await refusal(['coordinator', ...run, '--shards', 'ps-0:50052,ps-1:65536'])).toContain('HOST:PORT');
  });

  it.each(['1e9', '3651', '0', ''])('certs takes no --days %j', async (days) => {
    expect(await refusal(['certs', '/nowhere', '--days', days])).toContain('an integer from 1 to 3650');
  });
});
