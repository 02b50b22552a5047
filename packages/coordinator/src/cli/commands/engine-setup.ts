import type { Command } from 'commander';
import { ShowtellError } from '@showtell/shared/errors.js';
import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { ensureSetUp, type EngineName } from '../set-up.js';

interface Options {
  readonly engine: string;
  readonly withoutGpu?: true;
  readonly json?: true;
}

/** `showtell engine setup`: engine and nats-server into the user's cache. */
export function register(parent: Command): void {
  parent
    .command('setup')
    .description("fetch TensorFlow's wheel, compile its Node addon and get a nats-server, once for all checkouts")
    .option('--engine <cpu|cuda>', 'which engine; cuda adds 3.3 GB of NVIDIA libraries', 'cpu')
    .option('--without-gpu', 'build the cuda engine where there is no GPU, e.g. in a container image')
    .option('--json', 'print one line of JSON on standard output')
    .addHelpText(
      'after',
      `
Everything goes to $SHOWTELL_CACHE, else $XDG_CACHE_HOME/showtell, else ~/.cache/showtell. A step that is done is not
done again; an interrupted one goes on. Needs Python 3 with pip and a C++ compiler; afterwards neither, nor a network.
demo and train do this by themselves before they begin.

Exit codes: 0 ready, 69 something is missing on this machine (the message has the command that mends it), 73 the cache
cannot be written, others as docs/errors.md lists them.`,
    )
    .action(async (options: Options) => {
      if (options.engine !== 'cpu' && options.engine !== 'cuda') {
        const detail = `"${options.engine}" is no engine: cpu or cuda.`;
        throw new ShowtellError('usage/invalid', { detail, command: 'engine setup' });
      }
      await setUp(options.engine, options);
    });
}

async function setUp(engine: EngineName, options: Options): Promise<void> {
  const progress = lineProgress();
  const built = await ensureSetUp(progress, engine, { withoutGpu: options.withoutGpu === true });
  progress.end();
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ ...built.engine, nats: built.nats })}\n`);
    return;
  }
  const { changed, tensorflow, folder } = built.engine;
  const verb = changed ? 'is ready' : 'was ready';
  process.stdout.write(`The ${engine} engine (TensorFlow ${tensorflow}) ${verb} in ${folder}\n`);
  process.stdout.write(`nats-server: ${built.nats}\n`);
}
