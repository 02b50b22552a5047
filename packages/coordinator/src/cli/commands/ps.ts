import type { Command } from 'commander';
import { tlsOption } from '../tls-option.js';
import { portFrom } from '../data-options.js';
import type { PsOptions } from '../actions/ps.js';

export function register(program: Command): void {
  const command = program
    .command('ps')
    .description('serve one shard of the parameter server, for the coordinator that names it (--shards)')
    .option('--host <address>', 'where to listen; 0.0.0.0 for coordinator and workers on other machines', '127.0.0.1')
    .option('--grpc-port <port>', 'port for coordinator and workers; 0 takes a free one', portFrom, 50052)
    .option('--http-port <port>', 'port of /metrics, /healthz and /readyz; 0 takes a free one', portFrom, 9467)
    .option('--parent', 'end when standard input closes, as it does when the parent process ends');
  tlsOption(command, 'ps')
    .addHelpText(
      'after',
      `
A shard holds a part of the parameters and of what the optimizer keeps, whole blocks by bytes, and does the arithmetic on
it. It needs neither job nor data: the coordinator brings both, and the parameters are the same, bit for bit, by one shard or
by several. It keeps nothing on disk. When one is lost, the run goes on from its last checkpoint as soon as it is there again.

"showtell train --set cluster.parameterShards=2" starts its shards by itself; "showtell coordinator" is told where they
are, as many as the job says.

Exit codes: 0 it was told to end, 69 the port is taken.

Example:
  showtell ps --host 0.0.0.0                                              (on two machines, ps-0 and ps-1)
  showtell coordinator job.yaml --run /runs/a --data /data/mscoco --nats nats://nats:4222 --host 0.0.0.0 \\
    --shards ps-0:50052,ps-1:50052`,
    )
    .action(async (options: PsOptions) => {
      const { serveUntilTold } = await import('../actions/ps.js');
      await serveUntilTold(options);
    });
}
