import type { Command } from 'commander';
import { type EngineAsked, engineOption } from '../engine-option.js';

type ServeFlags = { readonly checkpoint: string; readonly engine?: EngineAsked } & Readonly<Record<string, string>>;

export function register(program: Command): void {
  program
    .command('serve')
    .description('caption pictures over HTTP with a trained checkpoint')
    .requiredOption(
      '--checkpoint <run|dir>',
      "a run's folder (its newest checkpoint), RUN@STEP, RUN@best, or a checkpoint's folder",
    )
    .option('--host <address>', 'address to listen on; 0.0.0.0 for all of the machine (default: 127.0.0.1)')
    .option('--port <n>', 'port; 0 takes a free one (default: 8080)')
    .option('--beam <n>', "beam width where a request names none (default: the job's)")
    .option('--max-beam <n>', 'the widest beam a request may ask for (default: 10)')
    .option('--batch <n>', 'pictures a call of the encoder takes, always so many (default: 4; 8 on a GPU)')
    .option('--threads <n>', "threads of the engine (default: the job's)")
    .option('--max-megabytes <n>', 'larger bodies are refused (default: 16)')
    .option('--max-megapixels <n>', 'larger pictures are refused by their header (default: 50)')
    .option('--max-queue <n>', 'requests accepted and not yet answered, at most (default: 64)')
    .option('--rate <n>', 'requests a second from one address, twice as many at once; 0: no limit (default: 20)')
    .option('--timeout <seconds>', 'how long a request may take, its sending included (default: 30)')
    .addOption(engineOption("the job's"))
    .option('--vocabulary <file>', 'the word_counts.txt, where it is neither with the checkpoint nor with its data')
    .addHelpText(
      'after',
      `
POST /caption with a picture as the body answers {"captions": [{"caption", "logprob", "probability"}, …]}, best first;
?beam=5 and ?upright=true are its settings. /openapi.json describes it, /metrics is for Prometheus, /healthz and /readyz
for whoever starts it. Requests that come while the engine computes are computed together. docs/serve.md tells more.

"listening on http://…" on standard output says that it is ready. SIGTERM and Ctrl-C let it answer what it has accepted
and end; a second one ends it at once.

Exit codes: 0 it was told to stop, 64 the command line, 65 or 66 the checkpoint, 69 the port is taken, 70 the engine failed.

Examples:
  showtell serve --checkpoint runs/demo --port 8080
  curl --data-binary @photo.jpg -H 'content-type: image/jpeg' 'http://127.0.0.1:8080/caption?beam=5'`,
    )
    .action(async (flags: ServeFlags) => {
      const { runOnCheckpoint } = await import('../run-on-checkpoint.js');
      process.exitCode = await runOnCheckpoint('serve.js', { ...flags });
    });
}
