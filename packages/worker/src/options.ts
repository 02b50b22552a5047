import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { isAddress } from '@showtell/shared/rpc/address.js';
import { memorySizes, parseMemorySize } from '@showtell/shared/service/memory-size.js';
import { toldToLeave } from '@showtell/shared/service/worker-exit.js';

/** What a worker is started with. */
export interface WorkerOptions {
  /** Null: what the certificate says, else made up. */
  readonly id: string | null;
  /** A run's folder on this machine, or a coordinator elsewhere and the job to train. */
  readonly run:
    { readonly folder: string } | { readonly coordinator: string; readonly job: string; readonly data: string | null };
  /** How long a coordinator is looked for, at the start and after one is lost. */
  readonly waitSeconds: number;
  /** Whether the worker ends when its standard input closes. */
  readonly parent: boolean;
  /** Whether only the run's end is a good end: a coordinator that stops is awaited, a signal or a wait in vain ends with exit code 75. */
  readonly untilComplete: boolean;
  /** Resident bytes after which it leaves, to be replaced; null: by its cgroup's limit. */
  readonly maxMemory: number | null;
  /** Folder with certificates and keys; null: what the environment says. */
  readonly tls: string | null;
  readonly metrics: { readonly host: string; readonly port: number };
}

export const workerHelp = `Usage: showtell worker --run DIR [options]
       showtell worker --coordinator HOST:PORT --job FILE [options]

join a run as a worker and compute its units until the run ends

Options:
  --run DIR                the run's folder, on the coordinator's machine
  --coordinator HOST:PORT  a coordinator elsewhere; with --job and, if the job names none that is here, --data
  --job FILE               the job file of that run
  --data PLACE             the data: a folder on this machine, or a bucket, nats://HOST:PORT/BUCKET
  --id NAME                this worker's name in the run (default: its certificate's, if that names one, else worker-HOST-PID)
  --wait TIME              how long to look for a coordinator or a bucket's data, also after one is lost: 90, 90s, 5m (default: 60s)
  --until-complete         exit 0 at the run's end only: outlast coordinators that stop, exit ${toldToLeave} when told to leave and
                           when neither coordinator nor data came in time
  --max-memory SIZE        leave, to be replaced, once more than this is resident: 4G, 512M (default: 90 % of the cgroup's
                           limit, if it has one)
  --parent                 end when standard input closes, as it does when the parent process ends
  --tls DIR                certificates and keys of "showtell certs" (default: SHOWTELL_TLS, else nothing is secured)
  --metrics-host HOST      address of /metrics, /healthz, /readyz (default: 127.0.0.1)
  --metrics-port PORT      its port; 0 takes a free one (default: 0)
  -h, --help               print this help

Any number of workers may join and leave at any time; the run's parameters are the same, bit for bit. SIGTERM or Ctrl-C
lets it finish the unit it is at and leave; a second one ends it at once.

Exit codes: 0 the run ended or the worker was told to leave (${toldToLeave} with --until-complete, as a work queue on Kubernetes
wants it: whoever exits 0 there tells that all work is done), ${toldToLeave} also when it outgrew --max-memory, 69 no
coordinator was found in time, or no data in their bucket (${toldToLeave} with --until-complete), 77 the run does not take this worker's
certificate, 78 nor this worker (another version, job, data set or other numbers on this machine).

Examples:
  showtell worker --run runs/demo
  showtell worker --coordinator coordinator:50051 --job job.yaml --data /data/mscoco --wait 10m
`;

/** @throws ShowtellError `usage/invalid`; @returns null when help was asked for */
export function parseWorkerOptions(argv: readonly string[]): WorkerOptions | null {
  const { values } = parsed(argv);
  if (values.help === true) return null;
  const { run, coordinator, job } = values;
  if ((run === undefined) === (coordinator === undefined)) throw invalid('give either --run or --coordinator');
  if (coordinator !== undefined && job === undefined) throw invalid('--coordinator needs --job');
  if (coordinator !== undefined && !isAddress(coordinator))
    throw invalid(`--coordinator ${coordinator} is no HOST:PORT, with a port from 1 to 65535`);
  return {
    id: values.id ?? null,
    run:
      run !== undefined
        ? { folder: run }
        : { coordinator: coordinator ?? '', job: job ?? '', data: values.data ?? null },
    waitSeconds: secondsOf(values.wait ?? '60s'),
    parent: values.parent === true,
    tls: values.tls ?? null,
    untilComplete: values['until-complete'] === true,
    maxMemory: values['max-memory'] === undefined ? null : sizeOf(values['max-memory']),
    metrics: { host: values['metrics-host'] ?? '127.0.0.1', port: portOf(values['metrics-port'] ?? '0') },
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        run: { type: 'string' },
        coordinator: { type: 'string' },
        job: { type: 'string' },
        data: { type: 'string' },
        id: { type: 'string' },
        wait: { type: 'string' },
        parent: { type: 'boolean' },
        'until-complete': { type: 'boolean' },
        'max-memory': { type: 'string' },
        tls: { type: 'string' },
        'metrics-host': { type: 'string' },
        'metrics-port': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause));
  }
}

function secondsOf(text: string): number {
  const [, number = '', unit = 's'] = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text) ?? [];
  if (number === '') throw invalid(`--wait ${text} is no time such as 90, 90s or 5m`);
  return Number(number) * (unit === 'h' ? 3600 : unit === 'm' ? 60 : 1);
}

function sizeOf(text: string): number {
  const bytes = parseMemorySize(text);
  if (bytes === null) throw invalid(`--max-memory ${text} is no size ${memorySizes}`);
  return bytes;
}

function portOf(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalid(`--metrics-port ${text} is no port`);
  return port;
}

function invalid(detail: string): ShowtellError {
  return new ShowtellError('usage/invalid', { detail, command: 'worker' });
}
