import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { writeCaptionCheckpoint } from '../support/caption-checkpoint.js';
import { LocalCluster } from '../support/local-run.js';
import { haveTensorflow } from '../support/tensorflow.js';

/** TensorFlow writes some lines while it is loaded, whatever level it is asked for; test/integration/caption has caption. */
describe.skipIf(!haveTensorflow)('standard error (skipped without the engine)', { timeout: 300_000 }, () => {
  const cluster = LocalCluster.open();
  const run = cluster.at('run');
  const notes = /^[IW]\d{4}|^WARNING|oneDNN/m;

  beforeAll(async () => {
    await writeCaptionCheckpoint(run);
    await cluster.drawData();
  });

  /** A worker whose engine is loaded, and which then finds nobody. */
  const lonely = (): string[] => [
    ...['worker', '--coordinator', '127.0.0.1:1', '--job', cluster.writeJob('tiny')],
    ...['--data', cluster.data, '--wait', '1s'],
  ];
  const serve = ['serve', '--port', '0', '--checkpoint', run];

  it.each([
    ['serve', () => serve],
    ['worker', lonely],
  ])('of %s shows what TensorFlow ends by, and none of its notes', async (_, args) => {
    vi.stubEnv('TF_XLA_FLAGS', '--nonsense');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { code, stderr } = await cluster.run(args());
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/^F\d{4} .*Unknown flag in TF_XLA_FLAGS: --nonsense$/m);
    expect(stderr).not.toMatch(notes);
  });

  it('of serve has its log only', async () => {
    const command = cluster.start(serve);
    onTestFinished(() => command.signal('SIGKILL'));
    command.child.stdout?.on('data', (text: string) => {
      if (text.includes('listening')) command.signal('SIGTERM');
    });
    const { code, stderr } = await command.ended;
    expect(code, stderr).toBe(0);
    for (const line of stderr.trimEnd().split('\n')) expect(line).toMatch(/^\{.*"level":/);
  });

  it('of a worker that finds no coordinator has its log and why it ends', async () => {
    const { code, stderr } = await cluster.run(lonely());
    expect(code).toBe(69);
    expect(stderr).toMatch(/^showtell-worker: .*127\.0\.0\.1:1/m);
    expect(stderr).not.toMatch(notes);
  });
});
