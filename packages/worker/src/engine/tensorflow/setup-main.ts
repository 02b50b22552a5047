/**
 * Sets the engine up as a process of its own: `node setup-main.js [--engine cpu|cuda] [--check]
 * [--without-gpu]`. Progress goes to
 * standard error, one line of JSON to standard output: `{ok, changed, engine, addon, …}` or `{ok: false, code, message,
 * remedy}` with the error's exit code. `--check` builds nothing.
 */
import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { buildAddon, isComplete } from './build-addon.js';
import { engineFolder } from './engine-folder.js';
import { tensorflowVersion } from './wheels.js';

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'cpu' },
    check: { type: 'boolean', default: false },
    'without-gpu': { type: 'boolean', default: false },
  },
});
const kind = values.engine === 'cuda' ? 'cuda' : 'cpu';
const say = (line: object): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

try {
  const progress = lineProgress();
  const check = async () => ({ folder: engineFolder(kind), changed: false, ok: await isComplete(engineFolder(kind)) });
  const built = values.check
    ? await check()
    : { ...(await buildAddon(kind, progress, { withoutGpu: values['without-gpu'] })), ok: true };
  progress.end();
  const { ok, changed, folder } = built;
  say({ ok, changed, engine: kind, tensorflow: tensorflowVersion, addon: folder.addon, folder: folder.root });
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  if (!(error instanceof ShowtellError)) throw error;
  const failure = error as ShowtellError;
  say({
    ok: false,
    engine: kind,
    code: failure.code,
    facts: failure.facts,
    message: failure.message,
    remedy: failure.remedy,
  });
  process.exitCode = error.exitCode;
}
