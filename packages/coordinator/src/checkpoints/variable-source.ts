/** A variable as a file has it, in whatever format. */
export interface StoredVariable {
  readonly name: string;
  /** showtell's name of it, where the format has names of its own; otherwise it follows from `name`. */
  readonly own?: string;
  readonly shape: readonly number[];
  /** NumPy's name of its type, such as `float16`. */
  readonly type: string;
  /** Whether its values can become float32. */
  readonly numeric: boolean;
  /** Pieces that it was saved in. */
  readonly slices: number;
  /**
   * Its values as float32, of the shape's size.
   * @throws ShowtellError when the file does not hold them soundly
   */
  read(into: Float32Array): void;
}

/** A file, or files, with the variables of a model: what is imported. */
export interface VariableSource {
  /** As people call it, such as `TensorFlow V2 checkpoint`. */
  readonly format: string;
  /** As the user named it. */
  readonly path: string;
  /** In the order of the file. */
  readonly variables: readonly StoredVariable[];
  /** Added to the encoder's variances before their root, where the file says it. */
  readonly batchNormEpsilon?: number;
}
