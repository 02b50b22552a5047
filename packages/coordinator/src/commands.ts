import type { NatsConnection } from 'nats';
import {
  CommandRequest,
  CommandRequest_Kind,
  CommandResponse,
} from '@showtell/shared/generated/showtell/v1/control.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { connectBus } from '@showtell/shared/bus/connect.js';
import type { Control } from './control.js';
import type { CoordinatorProcess } from './run-folder.js';
import type { RunStatus } from './status.js';

const subject = (run: string): string => `showtell.${run}.command`;

/** Answers the CLI's commands to a running coordinator. */
export function answerCommands(
  connection: NatsConnection,
  run: string,
  control: Control,
  status: () => RunStatus,
  note: (command: 'pause' | 'resume' | 'stop') => void,
): void {
  connection.subscribe(subject(run), {
    callback: (_, message) => {
      const response = (part: Partial<CommandResponse>): void => {
        message.respond(CommandResponse.encode({ ok: true, error: '', statusJson: '', ...part }).finish());
      };
      try {
        const { kind } = CommandRequest.decode(message.data);
        switch (kind) {
          case CommandRequest_Kind.KIND_STATUS:
            break;
          case CommandRequest_Kind.KIND_PAUSE:
            note('pause');
            control.pause();
            break;
          case CommandRequest_Kind.KIND_RESUME:
            note('resume');
            control.resume();
            break;
          case CommandRequest_Kind.KIND_STOP:
            note('stop');
            control.stop();
            break;
          case CommandRequest_Kind.KIND_UNSPECIFIED:
            response({ ok: false, error: 'the command names no kind' });
            return;
          default:
            kind satisfies never;
        }
        response({ statusJson: JSON.stringify(status()) });
      } catch (error) {
        response({ ok: false, error: String(error) });
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
  run: string,
  kind: CommandRequest_Kind,
): Promise<RunStatus> {
  const connection = await connectBus({ servers: [coordinator.nats], name: 'showtell cli', giveUpAfterMs: 1_000 });
  try {
    const request = CommandRequest.encode({ kind }).finish();
    const message = await connection.request(subject(run), request, { timeout: 5_000 }).catch((cause: unknown) => {
      throw new ShowtellError('run/not-answering', { run, detail: 'no answer within 5 s' }, { cause });
    });
    const response = CommandResponse.decode(message.data);
    if (!response.ok) throw new ShowtellError('run/not-answering', { run, detail: response.error });
    return JSON.parse(response.statusJson) as RunStatus;
  } finally {
    await connection.close();
  }
}
