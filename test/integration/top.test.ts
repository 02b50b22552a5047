import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { coordinatorSuite } from '../support/coordinator-suite.js';
import { eventually } from '../support/eventually.js';

const showtell = fileURLToPath(new URL('../../packages/coordinator/bin/showtell.js', import.meta.url));
const pty = fileURLToPath(new URL('../support/pseudo-terminal.py', import.meta.url));
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;
const suite = coordinatorSuite();

const [enter, leave] = ['\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l'];

/** `showtell top` in a real pseudo terminal. */
class Terminal {
  output = '';
  private readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<number>;

  constructor(run: string, rows = 24, columns = 80, env: NodeJS.ProcessEnv = {}) {
    const args = [pty, String(rows), String(columns), process.execPath, showtell, 'top', run];
    const plain = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/COLOR|^CI$/u.test(name)));
    this.child = spawn('python3', args, { env: { ...plain, TERM: 'xterm-256color', ...env } });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = once(this.child, 'close').then(([code]) => code as number);
    onTestFinished(() => void this.child.kill('SIGKILL'));
  }

  order(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** What the last frame shows, colours taken off. */
  get frame(): string[] {
    const [, last = ''] = /.*\x1b\[\?2026h\x1b\[H(.*?)\x1b\[J\x1b\[\?2026l/su.exec(this.output) ?? [];
    return last.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]/gu, '').split(/\r*\n/u);
  }

  shows(text: string): Promise<void> {
    return eventually(`it shows ${text}: ${this.frame.join('\n')}`, () => this.frame.join('\n').includes(text), 10_000);
  }
}

async function atStepThree() {
  const run = suite.begin();
  await run.worker(suite.good('worker-1', { deed: ({ step }) => (step === 3 ? 'hold' : 'compute') }));
  await run.until('step', 3);
  return run;
}

describe.skipIf(!hasPython)('showtell top in a terminal (needs python3, for its pty)', () => {
  it('shows the run on the other screen, follows resizing, and gives the screen back at q', async () => {
    const { folder } = await atStepThree();
    const terminal = new Terminal(folder.path);
    await terminal.shows('worker-1');
    expect(terminal.output.startsWith(enter)).toBe(true);
    expect(terminal.frame[0]).toMatch(/^tiny-\S+ {2}training {2}/u);
    expect(terminal.frame.join('\n')).toMatch(/3\/8 +37 %/u);
    expect(terminal.frame.join('\n')).toMatch(/step \S+ m?s .*compute \d+ %.*update \d+ %/u);
    expect(terminal.frame.join('\n')).toMatch(/worker-1 {2}computes step 4, unit \d/u);
    expect(terminal.output).toContain('\x1b[32m');

    terminal.order('size 8 30');
    await eventually('it is drawn narrower', () => terminal.frame.every((line) => line.length < 30));
    expect(terminal.frame.length).toBeLessThanOrEqual(8);
    terminal.order('keys q');
    expect(await terminal.ended).toBe(0);
    expect(terminal.output.endsWith(leave)).toBe(true);
  });

  it('pauses and resumes by key, without colours where NO_COLOR says so', async () => {
    const run = suite.begin();
    const terminal = new Terminal((await run.announced(), run.folder.path), 24, 100, { NO_COLOR: '1' });
    await terminal.shows('training');
    terminal.order('keys p');
    await terminal.shows('paused');
    expect(run.control.isPaused).toBe(true);
    terminal.order('keys r');
    await terminal.shows('training');
    expect(run.control.isPaused).toBe(false);
    expect(terminal.output).not.toMatch(/\x1b\[\d+m/u);
    terminal.order('keys \x03');
    expect(await terminal.ended).toBe(0);
  });

  it.each([
    [15, 143],
    [1, 129],
  ])('gives the screen back at signal %i', async (signal, code) => {
    const { folder } = await atStepThree();
    const terminal = new Terminal(folder.path);
    await terminal.shows('worker-1');
    terminal.order(`signal ${signal}`);
    expect(await terminal.ended).toBe(code);
    expect(terminal.output.endsWith(leave)).toBe(true);
    expect(terminal.output.split(leave)).toHaveLength(2);
  });

  it('goes on when the run has ended', async () => {
    const run = await atStepThree();
    const terminal = new Terminal(run.folder.path);
    await terminal.shows('training');
    run.control.stop();
    await run.ended;
    await terminal.shows('not running');
    terminal.order('keys q');
    expect(await terminal.ended).toBe(0);
  });
});

describe('showtell top without a terminal', () => {
  it('prints one frame of every run and exits', async () => {
    const run = await atStepThree();
    const child = spawn(process.execPath, [showtell, 'top', run.folder.path, run.folder.path]);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    expect((await once(child, 'close'))[0]).toBe(0);
    expect(output).not.toContain('\x1b');
    expect(output.match(/^tiny-\S+ {2}training/gmu)).toHaveLength(2);
  });

  it('names a run that is not there', () => {
    const { status, stderr } = spawnSync(process.execPath, [showtell, 'top', '/nonexistent'], { encoding: 'utf8' });
    expect(status).toBe(66);
    expect(stderr).toContain('/nonexistent');
  });
});
