import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Job } from '@showtell/shared/job/job.js';
import { parseJob } from '@showtell/shared/job/load-job.js';
import { synthesize } from '../../data/synth.js';
import { RunFolder } from '../../run-folder.js';
import { statusOfStopped } from '../../stopped-status.js';
import { integerFrom, threadsOption } from '../data-options.js';
import { type EngineAsked, engineOption, engineOverrides } from '../engine-option.js';
import { finishWithReport } from '../finish-with-report.js';
import { terminalPresenter } from '../present.js';
import { runToEnd } from '../run-to-end.js';
import { terminalProgress } from '../terminal-progress.js';

interface DemoOptions {
  readonly run: string;
  readonly data: string;
  readonly workers: number;
  readonly set?: readonly string[];
  readonly threads: number;
  readonly engine?: EngineAsked;
}

/** Pictures of the demo's scenes: 432 kinds of scene (8 colours, 3 shapes, 9 places, 2 sizes), each several times. */
const pictures = { train: 3000, val: 300, test: 100 };

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function register(program: Command): void {
  program
    .command('demo')
    .description('the whole story in minutes: draw scenes, train both phases on a local cluster, show the captions')
    .option('--run <dir>', "the run's folder; gone on with when it is there", 'runs/demo')
    .option('--data <dir>', 'the folder for the scenes; reused when it is there', 'data/demo')
    .option('--workers <n>', 'worker processes', integerFrom(1), 2)
    .option('--set <field.path=value>', 'override one field of the preset demo; may be repeated', collect)
    .addOption(threadsOption())
    .addOption(engineOption("auto, or the run's own"))
    .addHelpText(
      'after',
      `
The first time, the engine is set up too (showtell engine setup): TensorFlow's where Python with pip and a C++ compiler are
there, else a GPU by WebGPU or WebAssembly, and it says which and why. Another engine is another run. Ctrl-C saves a checkpoint, and the same command goes
on from it. At the end six held-out pictures' captions before, between and after the phases are printed, and the whole
story is in report.html in the run's folder.

Exit codes: as showtell train has them.

Examples:
  showtell demo
  showtell demo --run runs/short --set phases.joint.steps=300
  showtell status runs/demo            (in another terminal)
  showtell caption --checkpoint runs/demo data/demo/images/scene_*1.jpg`,
    )
    .action(async ({ run, data, workers, set = [], threads, engine }: DemoOptions) => {
      await synthesize({
        directory: data,
        seed: 1,
        pictures,
        size: 96,
        objects: 1,
        maxCount: 1,
        backgrounds: 1,
        captions: 5,
        shards: { train: null, val: null, test: null },
        threads,
        progress: terminalProgress(),
      });
      const overrides = [...set, `data.directory=${JSON.stringify(resolve(data))}`];
      const folder = new RunFolder(run);
      const isFinished = folder.exists && statusOfStopped(folder).state === 'finished';
      if (isFinished)
        process.stdout.write(`The demo in ${run} has been trained; remove that folder to train it anew.\n\n`);
      else {
        const job = await demoJob(overrides, folder, engine);
        using presenter = terminalPresenter(workers, job);
        const local = { natsUrl: null, host: '127.0.0.1', grpcPort: 0, httpPort: 0 };
        ({ code: process.exitCode } = await runToEnd(
          { run, job, resume: true, from: null, workers, ...local },
          presenter,
        ));
      }
      await finishWithReport(run, false);
    });
}

/** The preset on the engine that was asked for, else the one the run has begun with, else the fastest here. */
async function demoJob(overrides: readonly string[], folder: RunFolder, asked?: EngineAsked): Promise<Job> {
  const parse = (more: readonly string[]): Job =>
    parseJob({ preset: 'demo' }, [...overrides, ...more], 'the preset demo');
  if (asked === undefined && folder.exists) {
    const { engine } = parseJob(folder.job(), [], `the job of ${folder.path}`);
    return parse([`engine.name=${engine.name}`]);
  }
  if (asked === undefined && overrides.some((override) => override.startsWith('engine.name='))) return parse([]);
  return parse(await engineOverrides(asked ?? 'auto', parse([])));
}
