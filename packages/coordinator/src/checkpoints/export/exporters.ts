import type { LstmNaming } from '../tensorflow/names.js';
import type { OpenCheckpoint } from '../open-checkpoint.js';
import { exportSavedModel } from './saved-model.js';
import { exportSafetensors } from './safetensors.js';
import { exportTensorflow } from './tensorflow.js';

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

/** The formats of `checkpoint export`, by their name there. */
export const exporters = {
  tensorflow: {
    about: "--out is a folder: a TensorFlow V2 checkpoint under im2txt's names, `checkpoint`, word_counts.txt",
    write: exportTensorflow,
  },
  'saved-model': {
    about: '--out is a folder: a SavedModel for serving, its weights within, with signatures (docs/saved-model.md)',
    write: exportSavedModel,
  },
  safetensors: { about: '--out is a file with the same tensors, float32', write: exportSafetensors },
} as const satisfies Record<string, Exporter>;
export type ExportFormat = keyof typeof exporters;
