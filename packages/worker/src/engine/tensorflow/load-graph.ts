import { threadId } from 'node:worker_threads';
import { DataType, type Graph } from './graph.js';
import { encodeSavedModel } from './saved-model.js';

/** What is used of the addon, as it is: tfjs's own declaration knows no tensors of bytes. */
export interface LoadingBinding {
  createTensor(shape: readonly number[], dtype: number, values: Uint8Array[]): number;
  executeOp(operation: string, attributes: never[], inputs: number[], outputs: number): unknown;
  loadSavedModel(directory: string, tags: string): number;
  deleteTensor(tensor: number): void;
}

let graphs = 0;

/**
 * The addon takes a graph from a SavedModel's folder alone. This one is in TensorFlow's file system in memory
 * (ram_file_system.h), so that a process that is killed leaves nothing. A file there lasts as long as the process: an operation
 * that deletes one there is not, and writing appends. It is a small part of what a session takes for the same graph.
 * @returns the number under which the addon runs the graph
 */
export function loadGraph({ binding }: { readonly binding: LoadingBinding }, graph: Graph): number {
  const folder = `ram://showtell-graph-${threadId}-${graphs++}`;
  const inputs: number[] = [];
  try {
    for (const bytes of [Buffer.from(`${folder}/saved_model.pb`), Buffer.concat(encodeSavedModel(graph))])
      inputs.push(binding.createTensor([], DataType.string, [bytes]));
    // It has no attributes: those of all threads would be noted in one table without a lock.
    binding.executeOp('WriteFile', [], inputs, 0);
  } finally {
    for (const id of inputs) binding.deleteTensor(id);
  }
  return binding.loadSavedModel(folder, 'serve');
}
