import { Option, type Command } from 'commander';
import type { EngineSetUpFlags } from '../actions/engine-setup.js';

/** `showtell engine setup`: engine and nats-server into the user's cache. */
export function register(parent: Command): void {
  parent
    .command('setup')
    .description("fetch TensorFlow's wheel, compile its Node addon and get a nats-server, once for all checkouts")
    .addOption(
      new Option('--engine <name>', 'cpu or cuda: TensorFlow, cuda with 3.3 GB of NVIDIA libraries; auto: see below')
        .choices(['auto', 'cpu', 'cuda', 'webgpu', 'wasm'])
        .default('cpu'),
    )
    .option('--without-gpu', 'build the cuda engine where there is no GPU, e.g. in a container image')
    .option('--json', 'print one line of JSON on standard output')
    .addHelpText(
      'after',
      `
Everything goes to $SHOWTELL_CACHE, else $XDG_CACHE_HOME/showtell, else ~/.cache/showtell. A step that is done is not
done again; an interrupted one goes on. Needs Python 3 with pip and a C++ compiler; afterwards neither, nor a network.
demo and train do this by themselves before they begin.

auto takes TensorFlow where it can be set up, else a GPU by WebGPU, else WebAssembly, and says why. webgpu and wasm come
with npm: for them only a nats-server is fetched, and for webgpu a GPU is looked for.

Exit codes: 0 ready, 69 something is missing on this machine (the message has the command that mends it), 73 the cache
cannot be written, others as docs/errors.md lists them.`,
    )
    .action(async (flags: EngineSetUpFlags) => {
      const { setUp } = await import('../actions/engine-setup.js');
      await setUp(flags);
    });
}
