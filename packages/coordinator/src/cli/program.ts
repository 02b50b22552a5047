import { Command } from 'commander';
import { version } from '@showtell/shared/version.js';

/** A command's words, such as "checkpoint list", and its module, which is loaded when the command is meant. */
type Entry = readonly [words: string, load: () => Promise<{ register: (parent: Command) => void }>];

/** In the order of the help. */
const sections: readonly { readonly title: string; readonly commands: readonly Entry[] }[] = [
  {
    title: 'Train',
    commands: [
      ['demo', () => import('./commands/demo.js')],
      ['train', () => import('./commands/train.js')],
      ['coordinator', () => import('./commands/coordinator.js')],
      ['worker', () => import('./commands/worker.js')],
      ['ps', () => import('./commands/ps.js')],
    ],
  },
  {
    title: 'Watch and steer a run',
    commands: [
      ['status', () => import('./commands/status.js')],
      ['board', () => import('./commands/board.js')],
      ['top', () => import('./commands/top.js')],
      ['pause', () => import('./commands/pause.js')],
      ['resume', () => import('./commands/resume.js')],
      ['stop', () => import('./commands/stop.js')],
      ['switch', () => import('./commands/switch.js')],
    ],
  },
  {
    title: 'On Kubernetes',
    commands: [
      ['job submit', () => import('./commands/job-submit.js')],
      ['job status', () => import('./commands/job-status.js')],
      ['job logs', () => import('./commands/job-logs.js')],
      ['job scale', () => import('./commands/job-scale.js')],
      ['job delete', () => import('./commands/job-delete.js')],
      ['job render', () => import('./commands/job-render.js')],
      ['operator', () => import('./commands/operator.js')],
    ],
  },
  {
    title: 'Use what was trained',
    commands: [
      ['caption', () => import('./commands/caption.js')],
      ['serve', () => import('./commands/serve.js')],
      ['evaluate', () => import('./commands/evaluate.js')],
      ['perplexity', () => import('./commands/perplexity.js')],
      ['checkpoint list', () => import('./commands/checkpoint-list.js')],
      ['checkpoint show', () => import('./commands/checkpoint-show.js')],
      ['checkpoint verify', () => import('./commands/checkpoint-verify.js')],
      ['checkpoint diff', () => import('./commands/checkpoint-diff.js')],
      ['checkpoint prune', () => import('./commands/checkpoint-prune.js')],
      ['checkpoint import', () => import('./commands/checkpoint-import.js')],
      ['checkpoint export', () => import('./commands/checkpoint-export.js')],
      ['checkpoint remap', () => import('./commands/checkpoint-remap.js')],
      ['checkpoint average', () => import('./commands/checkpoint-average.js')],
    ],
  },
  {
    title: 'Prepare',
    commands: [
      ['data build-coco', () => import('./commands/data-build-coco.js')],
      ['data synth', () => import('./commands/data-synth.js')],
      ['data inspect', () => import('./commands/data-inspect.js')],
      ['data verify', () => import('./commands/data-verify.js')],
      ['data push', () => import('./commands/data-push.js')],
      ['data index', () => import('./commands/data-index.js')],
      ['certs', () => import('./commands/certs.js')],
      ['engine setup', () => import('./commands/engine-setup.js')],
      ['doctor', () => import('./commands/doctor.js')],
    ],
  },
];

const groups: Readonly<Record<string, string>> = {
  job: 'run jobs on Kubernetes',
  checkpoint: 'look at checkpoints, bring them from elsewhere and take them there',
  data: 'make and check data sets',
  engine: 'fetch and build the numeric engine',
};

/**
 * The command line, nothing parsed yet. `main.ts` runs it; `docs/cli.md` is printed from it. Where the arguments name a
 * command or a group, only its modules are loaded. They declare; what an action needs is loaded when it runs.
 *
 * Errors of usage are thrown (`CommanderError`), and subcommands take that and the look of help over from it, so
 * both are set before any is added.
 * @param args the command line's; none: every command
 */
export async function program(args: readonly string[] = []): Promise<Command> {
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
  const meant = meantBy(args);
  for (const { title, commands } of sections) {
    showtell.commandsGroup(title);
    for (const [words, load] of commands) {
      if (!meant(words)) continue;
      const [first = '', second] = words.split(' ');
      const parent = second === undefined ? showtell : groupOf(showtell, first);
      (await load()).register(parent);
    }
  }
  return showtell;
}

/** Which commands the arguments may mean: the one they name, those of a group, else all, for help and suggestions. */
function meantBy(args: readonly string[]): (words: string) => boolean {
  const given = args.slice(0, 2).join(' ');
  const all = sections.flatMap(({ commands }) => commands.map(([words]) => words));
  const named = all.find((words) => given === words || given.startsWith(`${words} `));
  if (named !== undefined) return (words) => words === named;
  const [group = ''] = args;
  return group in groups ? (words) => words.startsWith(`${group} `) : () => true;
}

function groupOf(parent: Command, name: string): Command {
  const known = parent.commands.find((command) => command.name() === name);
  return (
    known ??
    parent
      .command(name)
      .description(groups[name] ?? '')
      .helpCommand(false)
  );
}
