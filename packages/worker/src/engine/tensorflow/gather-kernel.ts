import type { NamedAttrMap, NamedTensorInfoMap, TensorInfo } from '@tensorflow/tfjs';
import type { TFEOpAttr } from '#tfjs-node/tfjs_binding.js';
import type { Tensorflow } from './addon.js';

const replaced = new WeakSet<object>();

/**
 * Puts a gather in the place of tfjs-node's, which reads its indices back to check their range. TensorFlow checks it
 * itself, and a graph that is recorded has no indices yet.
 */
export function replaceGather({ tf, backend }: Pick<Tensorflow, 'tf' | 'backend'>): void {
  if (replaced.has(backend)) return;
  replaced.add(backend);
  const { binding } = backend;
  const type = (name: string, value: number) => ({ name, type: binding.TF_ATTR_TYPE, value });
  const kernelFunc = ({ inputs, attrs }: { inputs: NamedTensorInfoMap; attrs?: NamedAttrMap }): TensorInfo => {
    const { x, indices } = inputs as { x: TensorInfo; indices: TensorInfo };
    const { axis, batchDims } = attrs as { axis: number; batchDims: number };
    const axisTensor = tf.scalar(axis, 'int32');
    const attributes = [
      { name: 'batch_dims', type: binding.TF_ATTR_INT, value: batchDims },
      type('Tparams', backend.getDTypeInteger(x.dtype)),
      type('Tindices', backend.getDTypeInteger(indices.dtype)),
      type('Taxis', binding.TF_INT32),
    ];
    // Attributes are a class by tfjs-node's types, plain objects by its code.
    const gathered = backend.executeSingleOutput('GatherV2', attributes as object[] as TFEOpAttr[], [
      x,
      indices,
      axisTensor,
    ]);
    axisTensor.dispose();
    return gathered;
  };
  tf.unregisterKernel('GatherV2', 'tensorflow');
  tf.registerKernel({ kernelName: 'GatherV2', backendName: 'tensorflow', kernelFunc });
}
