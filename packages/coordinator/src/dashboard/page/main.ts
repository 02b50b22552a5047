import { api } from './api.js';
import { openComparison } from './compare-view.js';
import { byId, setText } from './dom.js';
import { RunView } from './run-view.js';

/** One run is shown as a whole; several are compared, and each is a link away. */
async function open(): Promise<void> {
  const list = await api.runs();
  const [only] = list.runs;
  const asked = new URLSearchParams(location.search).get('run');
  const run = list.runs.length === 1 ? only?.id : list.runs.find(({ id }) => id === asked)?.id;
  document.body.dataset['view'] = run === undefined ? 'runs' : 'run';
  if (run === undefined) {
    setText(byId('name'), 'Runs beside one another');
    document.title = 'runs · showtell';
    await openComparison(list);
  } else {
    byId('back').hidden = list.runs.length === 1;
    await RunView.open(run, list.controls);
  }
  document.body.dataset['ready'] = 'true';
}

open().catch((error: unknown) => {
  setText(byId('connection'), error instanceof Error ? error.message : String(error));
});
