import { parentPort, workerData } from 'node:worker_threads';
import { thrown } from '@showtell/shared/thrown-error.js';
import { openEngine } from './choose-engine.js';
import type { Engine } from './engine.js';
import type { EngineCall, EngineReply, EngineThreadData } from './engine-thread.js';

/** The engine's own thread: opens it, then answers one call after another. */
const port = parentPort;
if (port === null) throw new TypeError('engine-thread-main.js runs as a worker thread only');

const reply = (message: EngineReply, transfer: ArrayBuffer[] = []): void => {
  port.postMessage(message, transfer);
};

try {
  const { engine: name, options } = workerData as EngineThreadData;
  const engine = await openEngine(name, options);
  port.on('message', (call: EngineCall) => {
    void answer(engine, call);
  });
  // A call that could not be read is one that nobody would ever answer.
  port.on('messageerror', (error) => {
    throw error;
  });
  reply({ type: 'ready', name: engine.name, fingerprint: engine.fingerprint });
} catch (error) {
  reply({ type: 'threw', id: null, error: thrown(error) });
}

async function answer(engine: Engine, { id, call, args }: EngineCall): Promise<void> {
  try {
    const value = await (engine[call] as (...args: unknown[]) => Promise<unknown>)(...args);
    reply({ type: 'returned', id, value }, ownBuffers(value));
  } catch (error) {
    reply({ type: 'threw', id, error: thrown(error) });
  }
}

/** Buffers of a result's arrays, which nobody else holds: they are moved, not copied. */
function ownBuffers(value: unknown): ArrayBuffer[] {
  const buffers = new Set<ArrayBuffer>();
  const note = (part: unknown): void => {
    if (part instanceof Float32Array || part instanceof Int32Array)
      if (part.buffer instanceof ArrayBuffer) buffers.add(part.buffer);
  };
  note(value);
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(note);
  return [...buffers];
}
