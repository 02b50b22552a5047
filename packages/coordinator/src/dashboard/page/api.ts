import type { HistoryPart, Refusal, RunList, RunNow, RunOverview, Verified, EvaluationPictures } from './payload.js';

/** The server's own words for why it did not do something. */
async function refused(response: Response): Promise<Error> {
  const text = await response.text();
  try {
    return new Error((JSON.parse(text) as Refusal).error);
  } catch {
    return new Error(`${response.status} ${response.statusText}`);
  }
}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(path, { headers: { accept: 'application/json' } });
  // The token is no longer good, as after the run was started with another: the form for it stands at /.
  if (response.status === 401) location.assign('/');
  if (!response.ok) throw await refused(response);
  return (await response.json()) as T;
}

async function post<T>(path: string): Promise<T> {
  const response = await fetch(path, { method: 'POST', headers: { 'x-showtell': 'page' } });
  if (!response.ok) throw await refused(response);
  return (await response.json()) as T;
}

const at = (run: string, ...rest: readonly (string | number)[]): string =>
  ['/api/runs', encodeURIComponent(run), ...rest].join('/');

/** What the page asks of the server. Each rejects with an error whose message is for people. */
export const api = {
  runs: () => get<RunList>('/api/runs'),
  overview: (run: string) => get<RunOverview>(at(run)),
  history: (run: string, from: number, to: number) =>
    get<HistoryPart>(at(run, `history?from=${Math.floor(from)}&to=${Math.ceil(to)}`)),
  pictures: (run: string, step: number) => get<EvaluationPictures>(at(run, 'evaluations', step)),
  image: (run: string, name: string) => at(run, 'images', name),
  file: (run: string, step: number, name: string) => at(run, 'checkpoints', step, name),
  verify: (run: string, step: number) => post<Verified>(at(run, 'checkpoints', step, 'verify')),
  command: (run: string, command: string) => post<RunNow>(at(run, 'commands', command)),
  events: (run: string, revision: number, last: number) =>
    new EventSource(at(run, `events?revision=${revision}&last=${last}`)),
};
