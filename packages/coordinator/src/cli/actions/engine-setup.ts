import { lineProgress } from '@showtell/shared/set-up/progress.js';
import { ensureSetUp, type EngineName } from '../set-up.js';

export interface EngineSetUpFlags {
  readonly engine: EngineName | 'auto';
  readonly withoutGpu?: true;
  readonly json?: true;
}

/** `showtell engine setup`. */
export async function setUp({ engine, withoutGpu, json }: EngineSetUpFlags): Promise<void> {
  const progress = lineProgress();
  const built = await ensureSetUp(progress, engine, { withoutGpu: withoutGpu === true });
  progress.end();
  if (json === true) {
    process.stdout.write(`${JSON.stringify({ ...built.engine, nats: built.nats })}\n`);
    return;
  }
  const { changed, engine: name, tensorflow, folder, found, reason } = built.engine;
  const verb = changed ? 'is ready' : 'was ready';
  process.stdout.write(
    tensorflow === undefined
      ? `The ${name} engine needs no set-up: ${found ?? 'it comes with npm'}\n`
      : `The ${name} engine (TensorFlow ${tensorflow}) ${verb} in ${folder ?? ''}\n`,
  );
  if (reason !== undefined) process.stdout.write(`engine ${name === 'cpu' ? 'tensorflow' : name}: ${reason}\n`);
  process.stdout.write(`nats-server: ${built.nats}\n`);
}
