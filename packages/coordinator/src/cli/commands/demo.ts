import type { Command } from 'commander';
import type { DemoOptions } from '../actions/demo.js';
import { integerFrom, threadsOption } from '../data-options.js';
import { engineOption } from '../engine-option.js';

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
there, else a GPU by WebGPU or WebAssembly, and it says which and why. Another engine is another run. Ctrl-C saves a
checkpoint, and the same command goes on from it. At the end six held-out pictures' captions before, between and after
the phases are printed, and the whole story is in report.html in the run's folder.

Exit codes: as showtell train has them.

Examples:
  showtell demo
  showtell demo --run runs/short --set phases.joint.steps=300
  showtell status runs/demo            (in another terminal)
  showtell caption --checkpoint runs/demo data/demo/images/scene_*1.jpg`,
    )
    .action(async (options: DemoOptions) => {
      const { demo } = await import('../actions/demo.js');
      await demo(options);
    });
}
