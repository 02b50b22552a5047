import { ShowtellError } from '@showtell/shared/errors.js';
import type { Ops } from '../../model/ops.js';
import type { Engine, EngineFingerprint, EngineMemory, EngineOptions } from '../engine.js';
import type { Computation, Executor, Values } from '../executor.js';
import { ModelEngine } from '../model-engine.js';
import type { Tensorflow } from './addon.js';
import { toBfloat16 } from './bfloat16-pass.js';
import { CompiledGraph } from './compiled-graph.js';
import { engineCall } from './engine-call.js';
import { fuseBiases } from './fuse-pass.js';
import { fusedOps } from './fused-ops.js';
import { simplify } from './graph.js';
import { canBfloat16, instructionSets } from './instruction-sets.js';
import { recordGraph } from './record.js';

/**
 * The engine of compiled TensorFlow graphs. Its calls are synchronous underneath: `engine-thread.ts` gives it a thread.
 * @throws ShowtellError `engine/no-bfloat16`
 */
export function tensorflowEngine(tensorflow: Tensorflow, options: EngineOptions): Engine {
  return new ModelEngine(new CompiledExecutor(tensorflow, options), options);
}

/** Each computation recorded once, compiled to one TensorFlow graph, and run as one session call from then on. */
class CompiledExecutor implements Executor {
  readonly fingerprint: EngineFingerprint;
  readonly ops: Ops;
  readonly #tensorflow: Tensorflow;
  readonly #options: EngineOptions;
  readonly #graphs = new Map<string, CompiledGraph>();

  constructor(tensorflow: Tensorflow, options: EngineOptions) {
    const { precision, device, threads } = options;
    const instructions = instructionSets();
    if (precision === 'bfloat16' && device === 'cpu' && !canBfloat16(instructions))
      throw new ShowtellError('engine/no-bfloat16', { instructions: instructions.join(' ') });
    this.#tensorflow = tensorflow;
    this.#options = options;
    this.ops = fusedOps(tensorflow.backend);
    const version = tensorflow.versions.tensorflow;
    this.fingerprint = { engine: 'tensorflow', version, device, instructions, threads, precision };
  }

  async run(
    computation: Computation,
    inputs: Readonly<Record<string, Values>>,
    into: Readonly<Record<string, Float32Array>> = {},
  ): Promise<Readonly<Record<string, Values>>> {
    const graph = this.#graph(computation);
    return engineCall(computation.key, () => graph.run(inputs, into));
  }

  memory(): EngineMemory {
    return { tensors: this.#tensorflow.binding.getNumOfTensors(), graphs: this.#graphs.size };
  }

  close(): void {
    for (const graph of this.#graphs.values()) graph.close();
    this.#graphs.clear();
  }

  #graph({ key, feeds, build, written, float32 }: Computation): CompiledGraph {
    const known = this.#graphs.get(key);
    if (known !== undefined) return known;
    const graph = recordGraph(this.#tensorflow, feeds, build);
    const low = this.#options.precision === 'bfloat16' && !float32;
    const lowered = simplify(low ? toBfloat16(graph) : graph);
    const simple = this.#options.device === 'cpu' ? simplify(fuseBiases(lowered)) : lowered;
    const compiled = engineCall(`compiling ${key}`, () => new CompiledGraph(this.#tensorflow, simple, { written }));
    this.#graphs.set(key, compiled);
    return compiled;
  }
}
