import { once } from 'node:events';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { localData, mayCome } from '@showtell/shared/bus/open-data.js';
import type { OnRefused } from '@showtell/shared/security/refusal.js';
import { processTls } from '@showtell/shared/security/tls-folder.js';
import { serveHttp } from '@showtell/shared/service/http.js';
import { ShowtellError } from '@showtell/shared/errors.js';
import { MountedDashboard } from '../dashboard/mount.js';
import { nowOfFolder } from '../dashboard/run-now.js';
import { finishedService } from '../finished-service.js';
import { openCoordinatorMetrics, type CoordinatorMetrics } from '../metrics.js';
import { RunFolder } from '../run-folder.js';
import { serveGrpc } from '../serve-grpc.js';
import { answerStatus, type ServedStatus } from '../served-status.js';
import { statusOfStopped } from '../stopped-status.js';
import type { Presenter } from './present.js';
import { reportFailure } from './report-failure.js';
import { exitCodes, runToEnd, type RunEnd } from './run-to-end.js';
import type { SessionOptions } from './session.js';

/** sysexits' "usage", "data", "no input", "internal", "configuration": starting again would end the same way. */
const lasting = [64, 65, 66, 70, 78];

const lookAgainMs = 3_000;

/**
 * Trains as {@link runToEnd} does, and after the run's end, good or bad, goes on answering `/status`, and `/metrics`
 * with the run's last values, until SIGTERM or SIGINT: a supervisor that starts its process anew whenever it ends, as a
 * StatefulSet does, finds out how it ended. Workers that come late are told that there is nothing left to do.
 * Data that are still to be put into their bucket are awaited, with `/status` telling so. What may go better the next
 * time is thrown, for the supervisor to start it again.
 *
 * @returns the process's exit code
 */
export async function runAndStay(options: SessionOptions, presenter: Presenter): Promise<number> {
  const metrics = openCoordinatorMetrics();
  let code: number;
  let isFinished = false;
  let status: ServedStatus;
  try {
    if (!(await dataAreThere(options, presenter))) return exitCodes.stopped;
    const ended = await runToEnd({ ...options, metrics }, presenter);
    if (ended.bySignal) return ended.code;
    code = ended.code;
    isFinished = ended.last?.type === 'finished';
    status = { ...statusOfStopped(new RunFolder(options.run)), ...stateOf(ended) };
  } catch (error) {
    if (!(error instanceof ShowtellError) || !lasting.includes(error.exitCode)) throw error;
    code = reportFailure(error);
    status = { ...statusSoFar(options), state: 'failed', end: toldOf(error as ShowtellError) };
  }
  const end = ending();
  await using _grpc = isFinished ? await serveFinished(options, metrics) : null;
  const folder = new RunFolder(options.run);
  const shown = { id: basename(folder.path), folder, now: nowOfFolder(folder), commands: null };
  await using page = new MountedDashboard({
    runs: folder.exists ? [shown] : [],
    host: options.host,
    token: options.pageToken,
  });
  await using _http = await serveStatus(options, metrics, () => status, true, page);
  if (!end.aborted) await once(end, 'abort');
  // Before the server: who watches would hold it up.
  await page[Symbol.asyncDispose]();
  return code;
}

/** @returns false when a signal came first */
async function dataAreThere(options: SessionOptions, presenter: Presenter): Promise<boolean> {
  const { job } = options;
  const look = (): Promise<ShowtellError | null> =>
    localData(job.data.directory ?? '', job.data).then(
      () => null,
      (error: unknown) => {
        if (mayCome(error)) return error;
        throw error;
      },
    );
  let lacking = await look();
  if (lacking === null) return true;
  presenter.note(`waiting: ${lacking.message} ${lacking.remedy}`);
  const end = ending();
  const status = (): ServedStatus => ({
    ...statusSoFar(options),
    state: 'waiting',
    ...(lacking === null ? {} : { waiting: toldOf(lacking) }),
  });
  await using _http = await serveStatus(options, openCoordinatorMetrics(), status, 'the data are not there yet');
  while (lacking !== null) {
    await delay(lookAgainMs, undefined, { signal: end }).catch(() => undefined);
    if (end.aborted) return false;
    lacking = await look();
  }
  return true;
}

function serveFinished({ run, host, grpcPort: port }: SessionOptions, { series }: CoordinatorMetrics) {
  const onRefused: OnRefused = ({ reason }) => series.refused.inc({ reason });
  return serveGrpc({ host, port, tls: processTls(), onRefused }, finishedService(new RunFolder(run).identity()));
}

function serveStatus(
  { host, httpPort }: SessionOptions,
  { registry }: CoordinatorMetrics,
  status: () => ServedStatus,
  ready: true | string,
  page?: MountedDashboard,
) {
  const answer = answerStatus(status);
  return serveHttp({
    host,
    port: httpPort,
    registry,
    ready: () => ready,
    handle: (request, response) => answer(request, response) || (page?.handle(request, response) ?? false),
    what: "the coordinator's status",
    setting: '--http-port',
  });
}

/** Aborted by SIGTERM or SIGINT. */
function ending(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => controller.abort());
  return controller.signal;
}

function statusSoFar({ run }: SessionOptions): Partial<ServedStatus> {
  const folder = new RunFolder(run);
  return folder.exists ? statusOfStopped(folder) : {};
}

const toldOf = ({ code, message, remedy }: ShowtellError) => ({
  reason: code as string,
  message: `${message} ${remedy}`,
});

function stateOf({ last }: RunEnd): Pick<ServedStatus, 'state' | 'end'> {
  if (last?.type !== 'finished') return { state: 'not running' };
  return { state: 'finished', end: { reason: last.outcome, message: last.reason } };
}
