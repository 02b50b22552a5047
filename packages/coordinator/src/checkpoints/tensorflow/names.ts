import { decoderNames } from '@showtell/shared/model/decoder.js';

/** How TensorFlow called the LSTM's variables, by version: up to 0.12, 1.0 to 1.1, and from 1.2 on. */
export const lstmNamings = {
  Matrix: { kernel: 'lstm/BasicLSTMCell/Linear/Matrix', bias: 'lstm/BasicLSTMCell/Linear/Bias' },
  weights: { kernel: 'lstm/basic_lstm_cell/weights', bias: 'lstm/basic_lstm_cell/biases' },
  kernel: { kernel: decoderNames.kernel, bias: decoderNames.bias },
} as const;
export type LstmNaming = keyof typeof lstmNamings;

const ownNames = new Map<string, string>(
  Object.values(lstmNamings).flatMap(({ kernel, bias }) => [
    [kernel, decoderNames.kernel],
    [bias, decoderNames.bias],
  ]),
);

/**
 * showtell's name of a variable that some version of im2txt or TF-Slim saved under this one. Who gave a Saver a
 * dictionary by `variable.name` has tensors' names, which end in `:0`.
 */
export function ownName(name: string): string {
  const variable = name.replace(/:0$/, '');
  return ownNames.get(variable) ?? variable;
}

/** The name im2txt's graph has for a variable of showtell. */
export function im2txtName(name: string, naming: LstmNaming): string {
  if (name === decoderNames.kernel) return lstmNamings[naming].kernel;
  if (name === decoderNames.bias) return lstmNamings[naming].bias;
  return name;
}

/** The step's variable in im2txt's and TF-Slim's graphs. */
export const globalStep = 'global_step';

/** How tf.train.Checkpoint of TensorFlow 2 calls the graph of its objects. */
export const objectGraph = '_CHECKPOINTABLE_OBJECT_GRAPH';

/** Why a variable of a file has no place in a model. */
export type LeftOverReason =
  | 'optimizer'
  | 'step'
  | 'moving average of a weight'
  | 'classifier head'
  | 'batch norm scale of 1'
  | 'bookkeeping'
  | 'unknown';

/** Slots of TensorFlow's optimizers, which stand behind their weight's name. */
const slots = /\/(Adam|Adagrad|Momentum|RMSProp|Ftrl|Adadelta|AdaMax|LARSOptimizer)(_\d+)?$/;

/** What TF-Slim's nets have behind the features: classes, and the loss in between that helped to train. */
const heads = /^(InceptionV\d|InceptionResnetV2)\/(Logits|AuxLogits|Predictions)\//;

/** Counters, a loss's scale in mixed precision, and what batch norm keeps to be free of its moving averages' first zero. */
const bookkeeping =
  /(^|\/)(learning_rate|local_step|current_loss_scale|good_steps|save_counter|_CHECKPOINTABLE_OBJECT_GRAPH|moving_(mean|variance)\/(biased|local_step))(\/\.ATTRIBUTES\/VARIABLE_VALUE)?$/;

/**
 * What a variable is that the model has not.
 * @param isKnown whether the model has a variable of that name: what stands behind one is an optimizer's, whatever its own
 */
export function leftOverReason(stored: string, isKnown: (name: string) => boolean): LeftOverReason {
  const name = ownName(stored);
  if (name === globalStep) return 'step';
  if (slots.test(name) || /(^|\/)beta[12]_power(_\d+)?$/.test(name)) return 'optimizer';
  if (/\/ExponentialMovingAverage(_\d+)?$/.test(name)) return 'moving average of a weight';
  if (heads.test(name)) return 'classifier head';
  if (bookkeeping.test(name)) return 'bookkeeping';
  return standsBehind(name, isKnown) ? 'optimizer' : 'unknown';
}

/** Whether a name goes on from a known one: `logits/weights/SGD`, `OptimizeLoss/logits/weights/SGD`. */
function standsBehind(name: string, isKnown: (name: string) => boolean): boolean {
  const parts = name.split('/').slice(0, -1);
  return parts.some((_, i) => isKnown(ownName(parts.slice(i).join('/'))));
}
