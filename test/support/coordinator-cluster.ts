import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Control } from '@showtell/coordinator/control.js';
import { coordinate } from '@showtell/coordinator/coordinator.js';
import { silent } from '@showtell/coordinator/data/progress.js';
import { synthesize } from '@showtell/coordinator/data/synth.js';
import { Journal, type JournalEntry } from '@showtell/coordinator/journal.js';
import { modelParameters } from '@showtell/coordinator/model-parameters.js';
import { RunFolder, type CoordinatorProcess } from '@showtell/coordinator/run-folder.js';
import type { RunEvent } from '@showtell/coordinator/run.js';
import { closeRecords, openDataset, readRecord, type Dataset } from '@showtell/shared/data/dataset.js';
import { decodeCaptionIds } from '@showtell/shared/data/sequence-example.js';
import type { EvaluationWork } from '@showtell/shared/generated/showtell/v1/unit.js';
import { jobDigest } from '@showtell/shared/job/digest.js';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { openLog } from '@showtell/shared/service/log.js';
import type { TlsFolder } from '@showtell/shared/security/tls-folder.js';
import { version } from '@showtell/shared/version.js';
import { eventually } from './eventually.js';
import { ScriptedWorker, type Script } from './scripted-worker.js';
import { temporaryFolder } from './temporary-folder.js';

/** A few drawn scenes, opened; and the caption that each validation record has. */
export interface TinyData extends AsyncDisposable {
  readonly dataset: Dataset;
  /** What a model says that knows the answers. */
  readonly rightCaptions: (work: EvaluationWork) => string[];
}

export async function tinyData(): Promise<TinyData> {
  const directory = mkdtempSync(join(tmpdir(), 'showtell-data-'));
  const scene = { size: 32, objects: 1, maxCount: 1, backgrounds: 1, captions: 2 };
  const shards = { train: null, val: null, test: null };
  const pictures = { train: 10, val: 4, test: 1 };
  await synthesize({ directory, seed: 1, pictures, ...scene, shards, threads: 1, progress: silent });
  const dataset = await openDataset(directory);
  const val = dataset.split('val');
  const words = new Map<string, string>();
  for (let i = 0; i < val.count; i++) {
    const record = val.record(i);
    const { ids } = decodeCaptionIds(await readRecord(val, record));
    const text = Array.from(ids.subarray(1, -1), (id) => dataset.vocabulary.word(id)).join(' ');
    words.set(`${record.shard}@${record.offset}`, text);
  }
  return {
    dataset,
    rightCaptions: ({ records }) => records.map(({ shard, offset }) => words.get(`${shard}@${offset}`) ?? ''),
    async [Symbol.asyncDispose]() {
      await closeRecords(dataset);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Four decoder-only steps and four joint ones of two units each, evaluated every second step. */
export function tinyJob(dataset: Dataset, overrides: readonly string[] = []): Job {
  return parseJob(
    {
      name: 'tiny',
      data: { directory: dataset.directory },
      model: {
        encoder: { depthMultiplier: 0.01, imageSize: 75 },
        decoder: { embedding: 4, units: 4, vocabulary: 200 },
      },
      batch: { examples: 4, units: 2, captionLengths: [16] },
      augmentation: { enabled: false, resize: 0 },
      optimizer: { name: 'momentum' },
      phases: {
        decoderOnly: { steps: 4, learningRate: 0.1, decay: null },
        joint: { steps: 4, learningRate: 0.1, maxBleuDrop: 0.05, rollbackPatience: 1 },
      },
      evaluation: { everySteps: 2, perplexityExamples: 4, captionImages: 4, unitExamples: 2, sampleImages: 1 },
      checkpoints: { everySteps: 2, keepLast: 20 },
      cluster: { parameterThreads: 1, lookAhead: 2 },
    },
    overrides,
  );
}

/** A coordinator of this process at work, its events noted as they come. */
export class RunningCoordinator {
  readonly control = new Control();
  readonly events: RunEvent[] = [];
  /** Rejects with what ended the run. */
  readonly ended: Promise<void>;
  private isOver = false;

  constructor(
    readonly folder: RunFolder,
    private readonly dataset: Dataset,
    readonly job: Job,
    natsUrl: string,
    level: 'silent' | 'debug' = 'silent',
    pageToken: string | null = null,
    tls: TlsFolder | null = null,
  ) {
    const fields = { run: 'test', role: 'coordinator' };
    const log = openLog({ fields, file: folder.at('logs', 'coordinator.log'), level });
    const generation = folder.claimGeneration();
    const listen = { natsUrl, host: '127.0.0.1', grpcPort: 0, httpPort: 0, pageToken, sharedMemory: null, tls };
    const events = coordinate({ folder, generation, job, dataset, log, ...listen }, this.control);
    this.ended = (async () => {
      try {
        for await (const event of events) this.events.push(event);
      } finally {
        this.isOver = true;
        log.close();
      }
    })();
    this.ended.catch(() => undefined);
    onTestFinished(async () => {
      this.control.stop();
      await this.ended.catch(() => undefined);
    });
  }

  async announced(): Promise<CoordinatorProcess> {
    await eventually('the coordinator is announced', () => this.isOver || this.folder.liveCoordinator() !== undefined);
    const live = this.folder.liveCoordinator();
    if (live === undefined) throw await this.ended.catch((error: unknown) => error);
    return live;
  }

  async worker(script: Script): Promise<ScriptedWorker> {
    const { grpc } = await this.announced();
    const { jobSha256 } = this.folder.identity();
    const worker = new ScriptedWorker(
      grpc,
      modelParameters(this.job).layout,
      { jobSha256, datasetDigest: this.dataset.digest },
      script,
    );
    onTestFinished(() => worker[Symbol.asyncDispose]());
    return worker;
  }

  of<T extends RunEvent['type']>(type: T): Extract<RunEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
  }

  async until(type: RunEvent['type'], step: number): Promise<void> {
    await eventually(`${type} ${step}`, () => {
      if (this.events.some((event) => event.type === type && event.step === step)) return true;
      if (this.isOver) throw new Error(`the run ended before ${type} ${step}`);
      return false;
    });
  }
}

/** A new run's folder. */
export function newRun(dataset: Dataset, job: Job, forkedFrom: string | null = null): RunFolder {
  const folder = new RunFolder(join(temporaryFolder(), 'run'));
  const identity = {
    run: `tiny-${process.pid}-${runs++}`,
    created: new Date().toISOString(),
    version,
    jobSha256: jobDigest(job, null),
    datasetDigest: dataset.digest,
    vocabularySha256: dataset.vocabulary.sha256,
    encoderWeightsSha256: null,
    forkedFrom,
  };
  folder.begin(identity, job);
  return folder;
}
let runs = 0;

export function journalOf(folder: RunFolder): readonly JournalEntry[] {
  return Journal.read(folder.at('journal.jsonl'));
}

/** The hash of the parameters that a checkpoint has. */
export function parametersAt(folder: RunFolder, step: number): string {
  const file = folder.at('checkpoints', String(step).padStart(8, '0'), 'manifest.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { parameters: { sha256: string } }).parameters.sha256;
}
