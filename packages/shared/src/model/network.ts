/**
 * An encoder as data: a table of rows, and one walk over it from which everything else derives. Whoever wants the
 * parameters, the cost or the features hands {@link walkNetwork} an {@link Interpreter} for its own kind of value:
 * shapes, tensors, or nothing at all.
 *
 * Rows carry TF-Slim's own names, since these are irregular; channels are those of depth multiplier 1.
 */
export type Padding = 'SAME' | 'VALID';

interface ConvRow {
  readonly kind: 'conv';
  readonly name: string;
  readonly channels: number;
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly padding: Padding;
  /** Standard deviation of the truncated normal first values; null: the network's rule. */
  readonly stddev: number | null;
}

/** Depthwise, then pointwise, with bias and ReLU but neither batch norm nor decay: Inception V2's first layer. */
interface SeparableRow {
  readonly kind: 'separable';
  readonly name: string;
  readonly channels: number;
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly padding: Padding;
  /** Depthwise outputs per input channel, at most; fewer where that would exceed the row's channels. */
  readonly maxMultiplier: number;
  readonly stddev: number;
}

interface PoolRow {
  readonly kind: 'max-pool' | 'average-pool';
  readonly size: number;
  readonly stride: number;
  readonly padding: Padding;
}

/** Branches from one input, joined along the channels; each with the scope its names begin with. */
interface ConcatRow {
  readonly kind: 'concat';
  readonly branches: readonly Branch[];
}

/** input + scale · (branches, joined, projected back to the input's channels with a bias), then ReLU or not. */
interface ResidualRow {
  readonly kind: 'residual';
  readonly branches: readonly Branch[];
  readonly up: string;
  readonly scale: number;
  readonly relu: boolean;
}

interface Branch {
  readonly scope: string;
  readonly rows: readonly Row[];
}

export type Row = ConvRow | SeparableRow | PoolRow | ConcatRow | ResidualRow;

/**
 * Rule for a convolution's first values: slim's variance_scaling_initializer (a truncated normal by fan-in), its
 * xavier_initializer (uniform, by fan-in and fan-out), or the standard deviation of a truncated normal.
 */
export type FirstValues = 'variance-scaling' | 'xavier' | number;

export interface Network {
  /** First part of all variable names. */
  readonly scope: string;
  /** Side of the square image it was made for, in pixels. */
  readonly nativeSize: number;
  /** Layers never get thinner than this, whatever the multiplier. */
  readonly minDepth: number;
  /** First values of convolutions whose row says nothing else. */
  readonly firstValues: FirstValues;
  readonly rows: readonly Row[];
}

type Options = Partial<Pick<ConvRow, 'stride' | 'padding' | 'stddev'>>;

export function conv(name: string, channels: number, kernel: readonly [number, number], options: Options = {}): Row {
  return { kind: 'conv', name, channels, kernel, stride: 1, padding: 'SAME', stddev: null, ...options };
}

export function maxPool(size: number, stride: number, padding: Padding): Row {
  return { kind: 'max-pool', size, stride, padding };
}

export function averagePool(size: number, stride: number, padding: Padding): Row {
  return { kind: 'average-pool', size, stride, padding };
}

/** An Inception block: branches under `name/Branch_0`, `name/Branch_1` … */
export function mixed(name: string, ...branches: readonly (readonly Row[])[]): Row {
  return { kind: 'concat', branches: branches.map((rows, i) => ({ scope: `${name}/Branch_${i}`, rows })) };
}

/** Several layers on one input, joined, without a scope of their own. */
export function fork(...rows: readonly Row[]): Row {
  return { kind: 'concat', branches: rows.map((row) => ({ scope: '', rows: [row] })) };
}

/** A residual block: branches under `name/Branch_0` …, joined and projected by `name/Conv2d_1x1`. */
export function residual(
  name: string,
  { scale, relu = true }: { readonly scale: number; readonly relu?: boolean },
  ...branches: readonly (readonly Row[])[]
): Row {
  const scopes = branches.map((rows, i) => ({ scope: `${name}/Branch_${i}`, rows }));
  return { kind: 'residual', branches: scopes, up: `${name}/Conv2d_1x1`, scale, relu };
}

/** What a convolution adds and does after its product. */
export type Finish = 'batch-norm-relu' | 'bias-relu' | 'bias';

/** A convolution as met on the walk, every number settled. */
export interface ConvLayer {
  readonly name: string;
  readonly kernel: readonly [height: number, width: number];
  readonly stride: number;
  readonly padding: Padding;
  readonly inputs: number;
  readonly outputs: number;
  readonly finish: Finish;
  /** What product and bias are multiplied with: a residual block's scale; 1 elsewhere. */
  readonly scale: number;
  readonly firstValues: FirstValues;
  /** Depthwise outputs per input channel of a separable convolution; null of an ordinary one. */
  readonly multiplier: number | null;
}

export interface PoolLayer {
  readonly kind: 'max-pool' | 'average-pool';
  readonly size: number;
  readonly stride: number;
  readonly padding: Padding;
}

/** What a walk does with each kind of layer. */
export interface Interpreter<V> {
  conv(layer: ConvLayer, input: V): V;
  pool(layer: PoolLayer, input: V): V;
  concat(values: readonly V[]): V;
  /** input + branch, then ReLU where `relu`. */
  add(input: V, branch: V, relu: boolean): V;
}

interface Carried<V> {
  readonly value: V;
  readonly channels: number;
}

/**
 * Walks a network from its input image to its last layer, in the order in which TF-Slim creates the variables.
 * @returns the last layer's value and its channels
 */
export function walkNetwork<V>(
  network: Network,
  depthMultiplier: number,
  interpreter: Interpreter<V>,
  image: V,
): Carried<V> {
  const depth = (channels: number): number => Math.max(Math.trunc(channels * depthMultiplier), network.minDepth);
  const walk = (rows: readonly Row[], scope: string, from: Carried<V>): Carried<V> => {
    let at = from;
    for (const row of rows) at = step(row, scope, at);
    return at;
  };

  const join = (branches: readonly Branch[], scope: string, from: Carried<V>): Carried<V> => {
    const ends = branches.map((branch) => walk(branch.rows, path(scope, branch.scope), from));
    return {
      value: interpreter.concat(ends.map((end) => end.value)),
      channels: ends.reduce((sum, end) => sum + end.channels, 0),
    };
  };

  const step = (row: Row, scope: string, from: Carried<V>): Carried<V> => {
    switch (row.kind) {
      case 'conv': {
        const { kernel, stride, padding, stddev } = row;
        const sizes = { inputs: from.channels, outputs: depth(row.channels) };
        const name = path(scope, row.name);
        const layer = {
          name,
          kernel,
          stride,
          padding,
          firstValues: stddev ?? network.firstValues,
          ...sizes,
          finish: 'batch-norm-relu',
          scale: 1,
          multiplier: null,
        } as const;
        return { value: interpreter.conv(layer, from.value), channels: sizes.outputs };
      }
      case 'separable': {
        const { kernel, stride, padding, stddev } = row;
        const sizes = { inputs: from.channels, outputs: depth(row.channels) };
        const multiplier = Math.min(Math.trunc(sizes.outputs / sizes.inputs), row.maxMultiplier);
        const name = path(scope, row.name);
        const first = { firstValues: stddev, finish: 'bias-relu', scale: 1, multiplier } as const;
        const layer = { name, kernel, stride, padding, ...sizes, ...first };
        return { value: interpreter.conv(layer, from.value), channels: sizes.outputs };
      }
      case 'max-pool':
      case 'average-pool':
        return { value: interpreter.pool(row, from.value), channels: from.channels };
      case 'concat':
        return join(row.branches, scope, from);
      case 'residual': {
        const joined = join(row.branches, scope, from);
        const up: ConvLayer = {
          name: path(scope, row.up),
          kernel: [1, 1],
          stride: 1,
          padding: 'SAME',
          inputs: joined.channels,
          outputs: from.channels,
          finish: 'bias',
          scale: row.scale,
          firstValues: network.firstValues,
          multiplier: null,
        };
        const branch = interpreter.conv(up, joined.value);
        return { value: interpreter.add(from.value, branch, row.relu), channels: from.channels };
      }
    }
  };

  return walk(network.rows, network.scope, { value: image, channels: 3 });
}

function path(scope: string, name: string): string {
  return name === '' ? scope : `${scope}/${name}`;
}

/** Side length after a convolution or pool, as TensorFlow counts it. */
export function outputSide(side: number, kernel: number, stride: number, padding: Padding): number {
  return padding === 'SAME' ? Math.ceil(side / stride) : Math.floor((side - kernel) / stride) + 1;
}
