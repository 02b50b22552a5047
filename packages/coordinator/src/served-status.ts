import type { ServiceOptions } from '@showtell/shared/service/http.js';
import type { RunStatus } from './status.js';

/** What a coordinator answers at `GET /status`, as JSON; what is not known of a run that could not start is left out. */
export interface ServedStatus extends Partial<Omit<RunStatus, 'state'>> {
  /** `failed`: it cannot go on, and would fail the same way again; `waiting`: its data are still to come. */
  readonly state: RunStatus['state'] | 'failed' | 'waiting';
  /** How it ended, once it has. */
  readonly end?: Told;
  /** What it waits for. */
  readonly waiting?: Told;
}

/** An outcome of `showtell train` or an error's code, and the text for people. */
interface Told {
  readonly reason: string;
  readonly message: string;
}

/** Answers `/status`, for {@link serveHttp}'s `handle`. */
export function answerStatus(status: () => ServedStatus): NonNullable<ServiceOptions['handle']> {
  return (request, response) => {
    if ((request.url ?? '').split('?')[0] !== '/status' || request.method !== 'GET') return false;
    const body = JSON.stringify(status());
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(body);
    return true;
  };
}
