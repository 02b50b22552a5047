import { api } from './api.js';
import { byId, byIdAs, setText } from './dom.js';
import type { RunNow, Summary } from './payload.js';

const questions = {
  stop: 'Stop the run after the step at hand? It saves a checkpoint, and "showtell train --run RUN --resume" goes on from there.',
  switch:
    'Begin the joint phase after the step at hand? The version is evaluated first, and the job’s guard may refuse. The order is kept in the run’s journal.',
} as const;

/** Pause, resume, stop and switch, for those who may. */
export class Controls {
  #asked: keyof typeof questions = 'stop';

  /** @param told of what the run does after a command */
  constructor(
    private readonly run: string,
    private readonly isAllowed: boolean,
    private readonly told: (now: RunNow) => void,
  ) {
    const dialog = byIdAs('question', HTMLDialogElement);
    byId('pause').onclick = () => void this.#do(byId('pause').dataset['command'] ?? 'pause');
    for (const command of ['stop', 'switch'] as const)
      byId(command).onclick = () => {
        this.#asked = command;
        setText(byId('question-text'), questions[command]);
        dialog.showModal();
      };
    dialog.onclose = () => {
      if (dialog.returnValue === 'yes') void this.#do(this.#asked);
      dialog.returnValue = '';
    };
  }

  show({ state, phase }: RunNow, { plannedSwitch }: Summary): void {
    const isLive = state === 'training' || state === 'paused';
    byId('controls').hidden = !this.isAllowed || !isLive;
    const command = state === 'paused' ? 'resume' : 'pause';
    const pause = byId('pause');
    pause.dataset['command'] = command;
    setText(pause, command === 'pause' ? 'Pause' : 'Resume');
    byId('switch').hidden = phase === 'joint' || plannedSwitch === null;
  }

  async #do(command: string): Promise<void> {
    const answer = byId('answer');
    setText(answer, '');
    try {
      this.told(await api.command(this.run, command));
      setText(answer, command === 'switch' ? 'The joint phase was asked for.' : command === 'stop' ? 'Stopping …' : '');
    } catch (error) {
      setText(answer, (error as Error).message);
    }
  }
}
