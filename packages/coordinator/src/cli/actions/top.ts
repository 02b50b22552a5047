import { setTimeout as delay } from 'node:timers/promises';
import { ShowtellError } from '@showtell/shared/errors.js';
import { RunFolder } from '../../run-folder.js';
import { openAlternateScreen } from '../alternate-screen.js';
import { colorsFor } from '../colors.js';
import { commandRunning } from '../command-running.js';
import { LossCurve } from '../progress.js';
import { statusOf } from '../run-status.js';
import { topFrame, type FrameStyle, type WatchedRun } from '../top-frame.js';

const frameMs = 1_000;

/** `showtell top`: the runs' status, drawn anew every second until q is pressed. @param once prints one frame instead */
export async function top(runs: readonly string[], once: boolean): Promise<void> {
  const watched = runs.map((run) => new Watched(run));
  // A run that is not there is said at once, and not on a screen that goes away.
  for (const run of watched) run.folder.identity();
  await Promise.all(watched.map((run) => run.look()));
  if (once || !process.stdout.isTTY || process.env['TERM'] === 'dumb')
    process.stdout.write(`${topFrame(watched, styleNow(Infinity, '')).join('\n')}\n`);
  else await follow(watched);
}

function styleNow(height: number, footer: string): FrameStyle {
  const { stdout } = process;
  return {
    ...{ colors: colorsFor(stdout), unicode: process.env['TERM'] !== 'linux', height, footer },
    // The last column stays free: writing it makes some terminals wrap.
    width: Math.min(120, (stdout.isTTY ? stdout.columns || 80 : 101) - 1),
  };
}

async function follow(watched: readonly Watched[]): Promise<void> {
  const { stdout } = process;
  const over = new AbortController();
  const only = watched.length === 1 ? watched[0] : undefined;
  const keys = only === undefined ? 'q quit' : 'q quit   p pause   r resume';
  let said = '';
  using screen = openAlternateScreen(stdout);
  const draw = (): void => screen.draw(topFrame(watched, styleNow(stdout.rows || 24, said === '' ? keys : said)));
  const steer = async (run: Watched, kind: 'KIND_PAUSE' | 'KIND_RESUME'): Promise<void> => {
    said = await commandRunning(run.name, kind).then(
      () => '',
      (error: unknown) => (error instanceof Error ? error.message : 'the coordinator did not answer'),
    );
    await run.look();
    draw();
  };
  using _keys = onKeys((key) => {
    if (key === 'q' || key === '\x03' || key === '\x04') over.abort();
    else if (key === 'p' && only !== undefined) void steer(only, 'KIND_PAUSE');
    else if (key === 'r' && only !== undefined) void steer(only, 'KIND_RESUME');
  });
  const quit = new Promise<void>((resolve) => over.signal.addEventListener('abort', () => resolve(), { once: true }));
  stdout.on('resize', draw);
  while (!over.signal.aborted) {
    draw();
    await delay(frameMs, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([quit, Promise.all(watched.map((run) => run.look()))]);
  }
  stdout.off('resize', draw);
}

/** A run, and what was last heard of it. */
class Watched implements WatchedRun {
  readonly folder: RunFolder;
  status: WatchedRun['status'] = '';
  switchStep: number | null = null;
  private readonly curve = new LossCurve();
  private curveStep = -1;

  constructor(readonly name: string) {
    this.folder = new RunFolder(name);
  }

  get losses(): number[] {
    return this.curve.values();
  }

  async look(): Promise<void> {
    try {
      const status = await statusOf(this.folder);
      this.switchStep ??= this.folder.job().phases.decoderOnly.steps;
      if (status.loss !== null && status.step !== this.curveStep)
        this.curve.add(status.step, status.loss, status.totalSteps);
      this.curveStep = status.step;
      this.status = status;
    } catch (error) {
      this.status = error instanceof ShowtellError ? error.message : String(error);
    }
  }
}

/** Keys as they are pressed, where standard input is a terminal; Ctrl-C is one of them. */
function onKeys(listener: (key: string) => void): Disposable {
  const { stdin } = process;
  if (!stdin.isTTY) return { [Symbol.dispose]: () => undefined };
  const onData = (keys: Buffer): void => {
    for (const key of keys.toString()) listener(key);
  };
  const cooked = (): void => void stdin.setRawMode(false);
  stdin.setRawMode(true).resume().on('data', onData);
  process.once('exit', cooked);
  return {
    [Symbol.dispose]: () => {
      process.off('exit', cooked);
      stdin.off('data', onData).pause();
      cooked();
    },
  };
}
