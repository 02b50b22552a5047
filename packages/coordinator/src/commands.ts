import { ErrorCode, NatsError, type NatsConnection } from 'nats';
import {
  CommandRequest,
  CommandRequest_Kind,
  CommandResponse,
} from '@showtell/shared/generated/showtell/v1/control.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { connectBus } from '@showtell/shared/bus/connect.js';
import type { RunCommand, RunCommands } from './run-commands.js';
import type { CoordinatorProcess, RunIdentity } from './run-folder.js';
import type { RunStatus } from './status.js';

/** Which run a command is for. */
type CommandedRun = Pick<RunIdentity, 'run' | 'jobSha256'>;

const subject = (run: string): string => `showtell.${run}.command`;

const commandOf: Readonly<Partial<Record<CommandRequest_Kind, RunCommand>>> = {
  [CommandRequest_Kind.KIND_PAUSE]: 'pause',
  [CommandRequest_Kind.KIND_RESUME]: 'resume',
  [CommandRequest_Kind.KIND_STOP]: 'stop',
  [CommandRequest_Kind.KIND_SWITCH]: 'switch',
};

/** Answers the CLI's commands to a running coordinator. */
export function answerCommands(
  connection: NatsConnection,
  { run, jobSha256 }: CommandedRun,
  commands: RunCommands,
  status: () => RunStatus,
): void {
  connection.subscribe(subject(run), {
    callback: (_, message) => {
      const response = (part: Partial<CommandResponse>): void => {
        message.respond(CommandResponse.encode({ ok: true, error: '', statusJson: '', ...part }).finish());
      };
      try {
        const { kind, ...asked } = CommandRequest.decode(message.data);
        if (asked.run !== run || asked.jobSha256 !== jobSha256) {
          const error = `the command is for run ${asked.run || 'none'} of job ${asked.jobSha256.slice(0, 12) || 'none'}, here is ${run} of ${jobSha256.slice(0, 12)}`;
          response({ ok: false, error });
          return;
        }
        const command = commandOf[kind];
        if (command === undefined && kind !== CommandRequest_Kind.KIND_STATUS) {
          response({ ok: false, error: 'the command names no kind' });
          return;
        }
        response({ statusJson: JSON.stringify(command === undefined ? status() : commands.do(command)) });
      } catch (error) {
        response({ ok: false, error: error instanceof Error ? error.message : String(error) });
      }
    },
  });
}

/**
 * Sends one command to a run's coordinator and gives its status.
 *
 * @throws ShowtellError `bus/unreachable`, `run/not-answering`
 */
export async function sendCommand(
  coordinator: Pick<CoordinatorProcess, 'nats'>,
  { run, jobSha256 }: CommandedRun,
  kind: keyof typeof CommandRequest_Kind,
): Promise<RunStatus> {
  const connection = await connectBus({ servers: [coordinator.nats], name: 'showtell cli', giveUpAfterMs: 1_000 });
  try {
    const request = CommandRequest.encode({ kind: CommandRequest_Kind[kind], run, jobSha256 }).finish();
    const message = await connection.request(subject(run), request, { timeout: 5_000 }).catch((cause: unknown) => {
      const isNobody = cause instanceof NatsError && cause.code === (ErrorCode.NoResponders as string);
      const detail = isNobody ? 'nobody listens there' : 'no answer within 5 s';
      throw new ShowtellError('run/not-answering', { run, detail }, { cause });
    });
    return statusIn(message.data, run);
  } finally {
    await connection.close();
  }
}

/** @throws ShowtellError `run/not-answering`, also where something else answers in the coordinator's place */
function statusIn(bytes: Uint8Array, run: string): RunStatus {
  try {
    const response = CommandResponse.decode(bytes);
    if (!response.ok && response.error !== '')
      throw new ShowtellError('run/not-answering', { run, detail: response.error });
    const status: unknown = JSON.parse(response.statusJson);
    if (!isStatusOf(run, status)) throw new TypeError('it is not the status of that run');
    return status;
  } catch (cause) {
    if (cause instanceof ShowtellError) throw cause;
    throw new ShowtellError('run/not-answering', { run, detail: 'its answer cannot be read' }, { cause });
  }
}

/** Whether it is a run's status, as far as that is shown to people. */
function isStatusOf(name: string, value: unknown): value is RunStatus {
  if (typeof value !== 'object' || value === null) return false;
  const { run, state, phase, generation, step, totalSteps, evaluation, workers } = value as Partial<RunStatus>;
  const isCounted = [generation, step, totalSteps].every((count) => Number.isSafeInteger(count));
  const isNamed = run === name && typeof state === 'string' && typeof phase === 'string';
  return isNamed && isCounted && evaluation !== undefined && Array.isArray(workers);
}
