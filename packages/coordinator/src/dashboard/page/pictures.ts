import { api } from './api.js';
import { byId, byIdAs, make, setText } from './dom.js';
import { count, three } from './format.js';
import type { EvaluationPictures, EvaluationPoint } from './payload.js';

type Picture = EvaluationPictures['pictures'][number];

/** How many pictures a person is shown. */
const mostPictures = 12;

/** Held-out pictures and what the run said of them, at each of its evaluations. */
export class Pictures {
  #points: readonly EvaluationPoint[] = [];
  #at = -1;
  readonly #fetched = new Map<number, Promise<EvaluationPictures>>();
  readonly #slider = byIdAs('evaluation', HTMLInputElement);

  constructor(private readonly run: string) {
    this.#slider.oninput = () => void this.#go(Number(this.#slider.value));
  }

  /** Shows the evaluations there are; who looks at the last goes on to a new one. */
  show(evaluations: readonly EvaluationPoint[]): void {
    const points = evaluations.filter(({ hasCaptions }) => hasCaptions);
    byId('pictures-section').hidden = points.length === 0;
    const isSame = points.length === this.#points.length && points.at(-1)?.step === this.#points.at(-1)?.step;
    if (isSame) return;
    const wasLast = this.#at === this.#points.length - 1;
    this.#points = points;
    this.#slider.max = String(Math.max(0, points.length - 1));
    // An evaluation again, after a rollback, may have said something else.
    this.#fetched.clear();
    if (points.length > 0) void this.#go(wasLast ? points.length - 1 : Math.min(this.#at, points.length - 1));
  }

  /** Goes to the evaluation of a step. */
  goTo(step: number): void {
    const at = this.#points.findIndex((point) => point.step === step);
    if (at === -1) return;
    void this.#go(at);
    byId('pictures-section').scrollIntoView({ block: 'start' });
  }

  async #go(at: number): Promise<void> {
    const point = this.#points[at];
    if (point === undefined) return;
    this.#at = at;
    this.#slider.value = String(at);
    const when = point.step === 0 ? 'before training' : `step ${count(point.step)}, ${point.phase}`;
    const scores = `perplexity ${point.perplexity.toFixed(2)}, BLEU-4 ${three(point.bleu?.[3] ?? null)}`;
    this.#slider.setAttribute('aria-valuetext', `${when}: ${scores}`);
    setText(byId('evaluation-when'), when);
    setText(byId('evaluation-scores'), scores);
    try {
      const { pictures } = await this.#fetch(point.step);
      if (this.#at === at) this.#draw(pictures.slice(0, mostPictures));
    } catch (error) {
      if (this.#at === at) byId('pictures').replaceChildren(make('p', { class: 'soft' }, (error as Error).message));
    }
  }

  #fetch(step: number): Promise<EvaluationPictures> {
    const known = this.#fetched.get(step);
    if (known !== undefined) return known;
    const fetched = api.pictures(this.run, step);
    this.#fetched.set(step, fetched);
    fetched.catch(() => this.#fetched.delete(step));
    return fetched;
  }

  /** Pictures stay where they are while the slider moves: only what is said of them changes. */
  #draw(pictures: readonly Picture[]): void {
    const grid = byId('pictures');
    const ids = pictures.map(({ imageId }) => String(imageId)).join();
    if (grid.dataset['ids'] !== ids) {
      grid.dataset['ids'] = ids;
      grid.replaceChildren(...pictures.map((picture) => this.#card(picture)));
    }
    for (const picture of pictures) byId(`said-${picture.imageId}`).replaceChildren(...said(picture));
  }

  #card({ imageId, image, references }: Picture): HTMLElement {
    const alt = `held-out picture ${imageId}: ${references[0] ?? 'no reference'}`;
    const people = references.map((reference) => make('li', {}, reference));
    return make(
      'article',
      { class: 'card picture' },
      make('div', { class: 'frame' }, make('img', { src: api.image(this.run, image), alt, loading: 'lazy' })),
      make('div', { class: 'captions', id: `said-${imageId}` }),
      make('details', {}, make('summary', {}, 'what people said'), make('ul', {}, ...people)),
    );
  }
}

function said({ captions }: Picture): HTMLElement[] {
  return captions
    .slice(0, 3)
    .map(({ caption, logprob, probabilities }, i) =>
      make(
        'p',
        { class: i === 0 ? 'said best' : 'said' },
        ...words(caption, probabilities),
        make('span', { class: 'sure', title: 'probability of the whole caption' }, ` ${share(Math.exp(logprob))}`),
      ),
    );
}

/** Each word on a ground that says how likely it was after those before it. */
function words(caption: string, probabilities: readonly number[]): (Node | string)[] {
  if (caption === '') return [make('span', { class: 'soft' }, '(nothing)')];
  return caption.split(' ').flatMap((word, i) => {
    const p = probabilities[i];
    const element = p === undefined ? word : make('span', { class: `word p${level(p)}`, title: share(p) }, word);
    return i === 0 ? [element] : [' ', element];
  });
}

/** 0 for what was hardly said, 4 for what was nearly certain. */
function level(p: number): number {
  return [0.2, 0.4, 0.6, 0.85].filter((limit) => p >= limit).length;
}

function share(p: number): string {
  return p >= 0.001 ? `${(p * 100).toFixed(p >= 0.1 ? 0 : 1)} %` : p.toExponential(0);
}
