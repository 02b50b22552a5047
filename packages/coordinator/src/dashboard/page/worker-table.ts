import { byId, make } from './dom.js';
import { bytes, count, percent } from './format.js';
import type { RunNow, WorkerRow } from './payload.js';

/** Who works, and on what. */
export function showWorkers({ state, workers }: RunNow): void {
  const isLive = state === 'training' || state === 'paused';
  byId('workers').hidden = !isLive;
  if (!isLive) return;
  const rows = workers.map(row);
  const none = make('tr', {}, make('td', { colspan: 7 }, 'No worker is here: the run waits for one.'));
  byId('worker-rows').replaceChildren(...(rows.length === 0 ? [none] : rows));
}

function row(worker: WorkerRow): HTMLElement {
  const { id, host, pid, engine, doing, units, residentBytes, presentSeconds } = worker;
  const share = (seconds: number): number => (presentSeconds > 0 ? Math.min(1, seconds / presentSeconds) : 0);
  const [computing, data, parameters] = [
    share(worker.computeSeconds),
    share(worker.waitDataSeconds),
    share(worker.waitParametersSeconds),
  ];
  const part = (name: string, value: number): HTMLElement => {
    const element = make('i', { class: `share ${name}` });
    element.style.width = `${value * 100}%`;
    return element;
  };
  const text = `computing ${percent(computing)}, waiting for data ${percent(data)}, for parameters ${percent(parameters)}`;
  return make(
    'tr',
    {},
    make('th', { scope: 'row', title: engine }, id),
    make('td', { class: doing.startsWith('silent') ? 'doing bad' : 'doing' }, doing),
    make('td', {}, count(units)),
    make(
      'td',
      {},
      make(
        'span',
        { class: 'shares', role: 'img', 'aria-label': text, title: text },
        part('compute', computing),
        part('data', data),
        part('parameters', parameters),
      ),
      ` ${percent(computing)}`,
    ),
    make('td', {}, residentBytes === null ? '–' : bytes(residentBytes)),
    make('td', {}, host),
    make('td', {}, String(pid)),
  );
}
