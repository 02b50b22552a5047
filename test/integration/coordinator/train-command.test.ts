import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runToEnd } from '@showtell/coordinator/cli/run-to-end.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { RunFolder } from '@showtell/coordinator/run-folder.js';
import { tinyJob } from '../../support/coordinator-cluster.js';
import { coordinatorSuite } from '../../support/coordinator-suite.js';
import { eventually } from '../../support/eventually.js';
import { ScriptedWorker } from '../../support/scripted-worker.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

const suite = coordinatorSuite();

describe('the command that trains', () => {
  it('ends with exit code 10 when the guard is unmet', async () => {
    const job = tinyJob(suite.data.dataset, ['phases.decoderOnly.steps=1', 'evaluation.captionImages=0']);
    const folder = new RunFolder(join(temporaryFolder(), 'run'));
    const service = {
      natsUrl: suite.nats.url,
      host: '127.0.0.1',
      grpcPort: 0,
      httpPort: 0,
      shards: null,
      pageToken: null,
    };
    const notes: string[] = [];
    const presenter = {
      show: () => undefined,
      note: (line: string) => void notes.push(line),
      [Symbol.dispose]: () => undefined,
    };
    const code = runToEnd({ run: folder.path, job, resume: false, from: null, workers: 0, ...service }, presenter);
    await eventually('it is announced', () => folder.liveCoordinator() !== undefined);
    const { jobSha256, datasetDigest } = folder.identity();
    await using _worker = new ScriptedWorker(
      folder.liveCoordinator()?.grpc ?? '',
      modelParameters(job).layout,
      { jobSha256, datasetDigest },
      { id: 'a', lossPerWord: () => 9 },
    );
    expect(await code).toMatchObject({ code: 10, last: { outcome: 'guard-unmet' }, bySignal: false });
    expect(notes).toEqual([
      expect.stringMatching(/^watch it at http/u) as string,
      expect.stringContaining('guard-unmet: 1 decoder-only steps are done') as string,
    ]);
  });
});
