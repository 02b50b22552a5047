import type { LstmNaming } from '../tensorflow/names.js';
import type { OpenCheckpoint } from '../open-checkpoint.js';

export interface ExportRequest {
  readonly checkpoint: OpenCheckpoint;
  /** Where it goes; not there yet. */
  readonly out: string;
  /** Names of the LSTM's variables, for TensorFlow. */
  readonly lstmNames: LstmNaming;
  /** The words' file, where it is not found beside the checkpoint, in its run or in its data. */
  readonly vocabulary: string | null;
}

/** What was written. */
export interface Exported {
  /** What the user names to read it. */
  readonly path: string;
  readonly files: readonly string[];
  /** Bytes of the tensors. */
  readonly bytes: number;
  readonly tensors: number;
}

/** A format that checkpoints are written in for others. */
interface Exporter {
  /** A line for the help. */
  readonly about: string;
  /** Writes it whole or not at all. @throws ShowtellError `checkpoint/exists`, `file/unwritable` */
  readonly write: (request: ExportRequest) => Promise<Exported>;
}

/** The formats of `checkpoint export`, by their name there; what writes one is loaded when it is asked for. */
export const exporters = {
  tensorflow: {
    about: "--out is a folder: a TensorFlow V2 checkpoint under im2txt's names, `checkpoint`, word_counts.txt",
    write: async (request) => (await import('./tensorflow.js')).exportTensorflow(request),
  },
  'saved-model': {
    about: '--out is a folder: a SavedModel for serving, its weights within, with signatures (docs/saved-model.md)',
    write: async (request) => (await import('./saved-model.js')).exportSavedModel(request),
  },
  safetensors: {
    about: '--out is a file with the same tensors, float32',
    write: async (request) => (await import('./safetensors.js')).exportSafetensors(request),
  },
} as const satisfies Record<string, Exporter>;
export type ExportFormat = keyof typeof exporters;
