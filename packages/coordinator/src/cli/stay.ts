import { serveHttp } from '@showtell/shared/service/http.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { openCoordinatorMetrics } from '../metrics.js';
import { RunFolder } from '../run-folder.js';
import { answerStatus, type ServedStatus } from '../served-status.js';
import { statusOfStopped } from '../stopped-status.js';
import type { Presenter } from './present.js';
import { reportFailure } from './report-failure.js';
import { runToEnd, type RunEnd } from './run-to-end.js';
import type { SessionOptions } from './session.js';

/** sysexits' "usage", "data", "no input", "internal", "configuration": starting again would end the same way. */
const lasting = [64, 65, 66, 70, 78];

/**
 * Trains as {@link runToEnd} does, and after the run's end, good or bad, goes on answering `/status` until SIGTERM or
 * SIGINT: a supervisor that starts its process anew whenever it ends, as a StatefulSet does, finds out how it ended.
 * What may go better the next time is thrown, for the supervisor to start it again.
 *
 * @returns the process's exit code
 */
export async function runAndStay(options: SessionOptions, presenter: Presenter): Promise<number> {
  let code: number;
  let status: ServedStatus;
  try {
    const ended = await runToEnd(options, presenter);
    if (ended.bySignal) return ended.code;
    code = ended.code;
    status = { ...statusOfStopped(new RunFolder(options.run)), ...stateOf(ended) };
  } catch (error) {
    if (!(error instanceof ShowtellError) || !lasting.includes(error.exitCode)) throw error;
    code = reportFailure(error);
    const folder = new RunFolder(options.run);
    const end = { reason: error.code as string, message: `${error.message} ${error.remedy}` };
    status = { ...(folder.exists ? statusOfStopped(folder) : {}), state: 'failed', end };
  }
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await using _http = await serveHttp({
    host: options.host,
    port: options.httpPort,
    registry: openCoordinatorMetrics().registry,
    ready: () => true,
    handle: answerStatus(() => status),
    what: "the coordinator's status",
    setting: '--http-port',
  });
  await signalled;
  return code;
}

function stateOf({ last }: RunEnd): Pick<ServedStatus, 'state' | 'end'> {
  if (last?.type !== 'finished') return { state: 'not running' };
  return { state: 'finished', end: { reason: last.outcome, message: last.reason } };
}
