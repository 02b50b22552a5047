import { Command } from 'commander';
import { version } from '@showtell/shared/version.js';
import { register as caption } from './commands/caption.js';
import { register as checkpointAverage } from './commands/checkpoint-average.js';
import { register as checkpointDiff } from './commands/checkpoint-diff.js';
import { register as checkpointExport } from './commands/checkpoint-export.js';
import { register as checkpointImport } from './commands/checkpoint-import.js';
import { register as checkpointList } from './commands/checkpoint-list.js';
import { register as checkpointPrune } from './commands/checkpoint-prune.js';
import { register as checkpointRemap } from './commands/checkpoint-remap.js';
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
import { register as jobDelete } from './commands/job-delete.js';
import { register as jobLogs } from './commands/job-logs.js';
import { register as jobRender } from './commands/job-render.js';
import { register as jobScale } from './commands/job-scale.js';
import { register as jobStatus } from './commands/job-status.js';
import { register as jobSubmit } from './commands/job-submit.js';
import { register as operator } from './commands/operator.js';
import { register as pause } from './commands/pause.js';
import { register as perplexity } from './commands/perplexity.js';
import { register as resume } from './commands/resume.js';
import { register as serve } from './commands/serve.js';
import { register as status } from './commands/status.js';
import { register as stop } from './commands/stop.js';
import { register as train } from './commands/train.js';
import { register as worker } from './commands/worker.js';

/**
 * The whole command line, nothing parsed yet. `main.ts` runs it; `docs/cli.md` is printed from it.
 *
 * Its errors of usage are thrown (`CommanderError`), and subcommands take that and the look of help over from it, so
 * both are set before any is added.
 */
export function program(): Command {
  const showtell = new Command('showtell')
    .description(
      'Trains the Show and Tell image captioner on a cluster of processes or machines.\n' +
        'The same job file gives the same parameters, bit for bit, whichever workers come and go.',
    )
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showSuggestionAfterError()
    .showHelpAfterError('Add --help for what there is.')
    .exitOverride()
    .configureHelp({ sortOptions: false })
    .addHelpText(
      'after',
      `
Begin with:
  showtell doctor   whether this machine has what is needed
  showtell demo     the whole story in minutes

"showtell COMMAND --help" tells more; docs/cli.md has it all on one page. Exit codes: 0 done, 10 the guard before the
joint phase was unmet, 11 stopped with a checkpoint, 64 a wrong command line, others as docs/errors.md lists them.`,
    );
  showtell.commandsGroup('Train');
  for (const register of [demo, train, coordinator, worker]) register(showtell);
  showtell.commandsGroup('Watch and steer a run');
  for (const register of [status, pause, resume, stop]) register(showtell);
  showtell.commandsGroup('On Kubernetes');
  const job = group(showtell, 'job', 'run jobs on Kubernetes');
  for (const register of [jobSubmit, jobStatus, jobLogs, jobScale, jobDelete, jobRender]) register(job);
  operator(showtell);
  showtell.commandsGroup('Use what was trained');
  for (const register of [caption, serve, evaluate, perplexity]) register(showtell);
  const checkpoints = group(
    showtell,
    'checkpoint',
    'look at checkpoints, bring them from elsewhere and take them there',
  );
  for (const register of [checkpointList, checkpointShow, checkpointVerify, checkpointDiff, checkpointPrune])
    register(checkpoints);
  for (const register of [checkpointImport, checkpointExport, checkpointRemap, checkpointAverage])
    register(checkpoints);
  showtell.commandsGroup('Prepare');
  const data = group(showtell, 'data', 'make and check data sets');
  for (const register of [dataBuildCoco, dataSynth, dataInspect, dataVerify, dataIndex]) register(data);
  const engine = group(showtell, 'engine', 'fetch and build the numeric engine');
  engineSetUp(engine);
  doctor(showtell);
  return showtell;
}

function group(parent: Command, name: string, description: string): Command {
  return parent.command(name).description(description).helpCommand(false);
}
