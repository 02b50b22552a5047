import { api } from './api.js';
import { byId, make, setText } from './dom.js';
import { bytes, clock, count, three } from './format.js';
import type { CheckpointRow } from './payload.js';

/** The run's checkpoints, the newest first, to be verified and fetched. */
export class Checkpoints {
  #drawn = '';
  /** What verifying has come to, by step: it stays when a new checkpoint comes. */
  readonly #verified = new Map<number, string>();

  constructor(private readonly run: string) {}

  show(checkpoints: readonly CheckpointRow[]): void {
    byId('checkpoints-section').hidden = checkpoints.length === 0;
    const key = JSON.stringify(checkpoints);
    if (key === this.#drawn) return;
    this.#drawn = key;
    byId('checkpoint-rows').replaceChildren(...[...checkpoints].reverse().map((one) => this.#row(one)));
  }

  #row({ step, phase, isDamaged, pinned, savedAt, perplexity, bleu4, cider, files }: CheckpointRow): HTMLElement {
    const size = files.reduce((sum, file) => sum + file.bytes, 0);
    const result = make('span', { class: 'verified', role: 'status' }, this.#verified.get(step) ?? '');
    const button = make('button', { type: 'button', 'aria-label': `verify step ${step}` }, 'verify');
    button.addEventListener('click', () => void this.#verify(step, button, result));
    const links = files.map(({ name, bytes: length }) =>
      make(
        'a',
        {
          href: api.file(this.run, step, name),
          download: '',
          'aria-label': `download ${name} of step ${step}`,
          title: length === 0 ? name : `${name}, ${bytes(length)}`,
        },
        name.replace('.safetensors', '').replace('.json', ''),
      ),
    );
    const facts = [pinned ? 'kept' : '', isDamaged ? 'damaged' : ''].filter((text) => text !== '').join(', ');
    return make(
      'tr',
      {},
      make('th', { scope: 'row' }, count(step), facts === '' ? null : make('span', { class: 'soft' }, ` ${facts}`)),
      make('td', {}, phase ?? '–'),
      make('td', {}, perplexity === null ? '–' : perplexity.toFixed(2)),
      make('td', {}, three(bleu4)),
      make('td', {}, three(cider)),
      make('td', {}, size === 0 ? '–' : bytes(size)),
      make('td', {}, savedAt === null ? '–' : clock(savedAt)),
      make('td', { class: 'actions' }, ...links.flatMap((link) => [link, ' ']), button, ' ', result),
    );
  }

  async #verify(step: number, button: HTMLButtonElement, result: HTMLElement): Promise<void> {
    button.disabled = true;
    setText(result, 'reading …');
    let text: string;
    try {
      const { isSound, detail } = await api.verify(this.run, step);
      text = isSound ? 'sound' : `damaged: ${detail}`;
      this.#verified.set(step, text);
    } catch (error) {
      text = (error as Error).message;
    }
    setText(result, text);
    button.disabled = false;
  }
}
