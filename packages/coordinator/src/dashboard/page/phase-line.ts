import { byId, make, setText } from './dom.js';
import { count } from './format.js';
import type { RunNow, Summary } from './payload.js';

/** The run as a line: its phases, how far it is, and what happened where. */
export class PhaseLine {
  #drawn = '';

  /** @param pick told of an evaluation whose mark was pressed */
  constructor(private readonly pick: (step: number) => void) {}

  show(summary: Summary, { step }: RunNow): void {
    const { firstStep, totalSteps, switchedAt, plannedSwitch, evaluations, checkpoints, moments } = summary;
    const end = Math.max(totalSteps, step);
    const place = (at: number): string => `${((Math.min(at, end) - firstStep) / Math.max(1, end - firstStep)) * 100}%`;
    const track = byId('track');
    track.style.setProperty('--done', place(step));
    const key = JSON.stringify([
      summary.totalSteps,
      switchedAt,
      evaluations.length,
      checkpoints.map((one) => one.step),
      moments.length,
    ]);
    this.#tell(summary, step);
    if (key === this.#drawn && end === totalSteps) return;
    this.#drawn = key;
    const joint = switchedAt ?? plannedSwitch;
    const switchPlace = joint === null ? '100%' : place(joint);
    track.style.setProperty('--switch', switchPlace);
    const mark = (className: string, at: number, title: string): HTMLElement => {
      const element = make('i', { class: `mark ${className}`, title });
      element.style.left = place(at);
      return element;
    };
    const marks = [
      ...checkpoints.map((one) => mark('checkpoint', one.step, `checkpoint at step ${count(one.step)}`)),
      ...evaluations.map(({ step: at, perplexity, bleu }) => {
        const scores = `perplexity ${perplexity.toFixed(2)}${bleu === null ? '' : `, BLEU-4 ${bleu[3].toFixed(3)}`}`;
        const element = mark('evaluation', at, `evaluated at step ${count(at)}: ${scores}`);
        element.addEventListener('click', () => this.pick(at));
        return element;
      }),
      ...moments
        .filter(({ kind }) => kind === 'rollback' || kind === 'resumed' || kind === 'refused')
        .map(({ kind, step: at, text }) => mark(kind, at, `step ${count(at)}: ${text}`)),
      ...(joint === null ? [] : [mark(switchedAt === null ? 'planned switch' : 'switch', joint, switchText(summary))]),
    ];
    byId('marks').replaceChildren(...marks);
    setText(byId('switch-name'), joint === null ? '' : switchText(summary));
    byId('switch-name').style.left = `clamp(0px, calc(${switchPlace} - 60px), calc(100% - 190px))`;
    setText(byId('line-from'), count(firstStep));
    setText(byId('line-to'), `${count(end)} steps`);
  }

  #tell({ evaluations, checkpoints, totalSteps, switchedAt, plannedSwitch }: Summary, step: number): void {
    const phase =
      switchedAt !== null
        ? `the joint phase began at step ${switchedAt}`
        : plannedSwitch === null
          ? 'there is no joint phase'
          : `the joint phase is to begin by step ${plannedSwitch}`;
    const text = `Step ${step} of ${totalSteps}; ${phase}; ${evaluations.length} evaluations, ${checkpoints.length} checkpoints.`;
    byId('phase-line').setAttribute('aria-label', text);
  }
}

function switchText({ switchedAt, plannedSwitch }: Summary): string {
  if (switchedAt !== null) return `joint from step ${count(switchedAt)}`;
  return plannedSwitch === null ? '' : `joint by step ${count(plannedSwitch)}`;
}
