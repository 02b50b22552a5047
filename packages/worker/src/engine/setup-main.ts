/**
 * Sets an engine up as a process of its own: `node setup-main.js [--engine auto|cpu|cuda|webgpu|wasm] [--check]
 * [--without-gpu]`. Progress goes to standard error, one line of JSON to standard output: `{ok, changed, engine, …}` or
 * `{ok: false, code, message, remedy}` with the error's exit code. `--check` builds nothing. `auto` builds TensorFlow's
 * where that can be done, and says in `reason` why it took another where not.
 */
import { parseArgs } from 'node:util';
import { ShowtellError } from '@showtell/shared/errors.js';
import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { chooseAutomatically, findGpu } from './choose-automatically.js';
import { buildAddon, isComplete } from './tensorflow/build-addon.js';
import { engineFolder } from './tensorflow/engine-folder.js';
import { type EngineKind, tensorflowVersion } from './tensorflow/wheels.js';

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'cpu' },
    check: { type: 'boolean', default: false },
    'without-gpu': { type: 'boolean', default: false },
  },
});
const progress = lineProgress();

/** What is said on standard output; `engine`: what was set up. */
interface Made {
  readonly ok: boolean;
  readonly changed: boolean;
  readonly engine: string;
  readonly [more: string]: unknown;
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

try {
  const made = await setUp(values.engine);
  progress.end();
  say(made);
  process.exitCode = made.ok ? 0 : 1;
} catch (error) {
  if (!(error instanceof ShowtellError)) throw error;
  const { code, facts, message, remedy, exitCode } = error as ShowtellError;
  say({ ok: false, engine: values.engine, code, facts, message, remedy });
  process.exitCode = exitCode;
}
// Dawn keeps the process's event loop busy while it holds an adapter.
process.exit();

async function setUp(engine: string): Promise<Made> {
  switch (engine) {
    case 'auto':
      return automatic();
    case 'webgpu': {
      const gpu = await findGpu();
      if (gpu !== null) {
        const found = gpu.isSoftware ? `${gpu.name}: software, slower than the wasm engine` : gpu.name;
        return { ok: true, changed: false, engine, found };
      }
      const lacking = 'WebGPU finds none with a driver';
      if (values.check) return { ok: false, changed: false, engine, found: lacking };
      throw new ShowtellError('engine/no-adapter', { detail: lacking });
    }
    case 'wasm':
      return { ok: true, changed: false, engine, found: 'WebAssembly of this Node' };
    default:
      return tensorflow(engine === 'cuda' ? 'cuda' : 'cpu');
  }
}

async function tensorflow(kind: EngineKind): Promise<Made> {
  const built = values.check
    ? { folder: engineFolder(kind), changed: false, ok: await isComplete(engineFolder(kind)) }
    : { ...(await buildAddon(kind, progress, { withoutGpu: values['without-gpu'] })), ok: true };
  const { ok, changed, folder } = built;
  return { ok, changed, engine: kind, tensorflow: tensorflowVersion, addon: folder.addon, folder: folder.root };
}

async function automatic(): Promise<Made> {
  const built: Made[] = [];
  const { name, reason } = await chooseAutomatically(async () => {
    try {
      built.push(await tensorflow('cpu'));
      return null;
    } catch (error) {
      if (!(error instanceof ShowtellError)) throw error;
      return `${error.message.replace(/\.$/, '')} (${error.remedy.replace(/\.$/, '')})`;
    }
  });
  return { ...(built[0] ?? { ok: true, changed: false, engine: name }), reason };
}
