import { Command, CommanderError } from 'commander';
import { version } from '@showtell/shared/version.js';
import { register as caption } from './commands/caption.js';
import { register as checkpointDiff } from './commands/checkpoint-diff.js';
import { register as checkpointList } from './commands/checkpoint-list.js';
import { register as checkpointPrune } from './commands/checkpoint-prune.js';
import { register as checkpointShow } from './commands/checkpoint-show.js';
import { register as checkpointVerify } from './commands/checkpoint-verify.js';
import { register as coordinator } from './commands/coordinator.js';
import { register as dataBuildCoco } from './commands/data-build-coco.js';
import { register as dataIndex } from './commands/data-index.js';
import { register as dataInspect } from './commands/data-inspect.js';
import { register as dataSynth } from './commands/data-synth.js';
import { register as dataVerify } from './commands/data-verify.js';
import { register as demo } from './commands/demo.js';
import { register as doctor } from './commands/doctor.js';
import { register as engineSetUp } from './commands/engine-setup.js';
import { register as evaluate } from './commands/evaluate.js';
import { register as pause } from './commands/pause.js';
import { register as resume } from './commands/resume.js';
import { register as status } from './commands/status.js';
import { register as stop } from './commands/stop.js';
import { register as train } from './commands/train.js';
import { register as worker } from './commands/worker.js';
import { reportFailure } from './report-failure.js';

function showtell(): Command {
  const program = new Command('showtell')
    .description(
      'Trains the Show and Tell image captioner on a cluster of processes or machines.\n' +
        'The same job file gives the same parameters, bit for bit, whichever workers come and go.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureHelp({ sortOptions: false })
    .addHelpText('after', '\nBegin with: showtell demo');
  program.commandsGroup('Train');
  for (const register of [demo, train, coordinator, worker]) register(program);
  program.commandsGroup('Watch and steer a run');
  for (const register of [status, pause, resume, stop]) register(program);
  program.commandsGroup('Use what was trained');
  for (const register of [caption, evaluate]) register(program);
  const checkpoint = program.command('checkpoint').description("look at, check and remove a run's checkpoints");
  for (const register of [checkpointList, checkpointShow, checkpointVerify, checkpointDiff, checkpointPrune])
    register(checkpoint);
  program.commandsGroup('Prepare');
  const data = program.command('data').description('make and check data sets');
  for (const register of [dataBuildCoco, dataSynth, dataInspect, dataVerify, dataIndex]) register(data);
  for (const register of [engineSetUp, doctor]) register(program);
  return program;
}

const program = showtell();
try {
  await program.exitOverride().parseAsync();
} catch (error) {
  process.exitCode = error instanceof CommanderError ? (error.exitCode === 0 ? 0 : 64) : reportFailure(error);
}
