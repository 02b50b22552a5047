import type { AttributeValue, DataType, Graph, GraphNode, Output, TensorType } from './graph.js';

/**
 * Protocol buffer bytes as a list of chunks. Nesting a message prepends a header instead of copying the body, so
 * a frozen encoder's 87 MB of constants are never copied here.
 */
interface Chunks {
  readonly list: readonly Uint8Array[];
  readonly length: number;
}

/** GraphDef's version of TensorFlow 2.21, whose op definitions the recorded attributes follow. */
const graphDefProducer = 2000;

const encoder = new TextEncoder();

/** A tensor that callers give or get, as a signature states it. */
interface SignatureTensor {
  readonly output: Output;
  /** −1 for a dimension that may be any. */
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** A function of a SavedModel: its arguments and results by their names. */
export interface Signature {
  readonly inputs: Readonly<Record<string, SignatureTensor>>;
  readonly outputs: Readonly<Record<string, SignatureTensor>>;
}

/** A SavedModel (tensorflow/core/protobuf/saved_model.proto) with one graph tagged "serve". The engine needs no signatures. */
export function encodeSavedModel(
  graph: Pick<Graph, 'nodes'>,
  signatures: Readonly<Record<string, Signature>> = {},
): readonly Uint8Array[] {
  const versions = message(varintField(1, graphDefProducer));
  const graphDef = message(...graph.nodes.map((node) => bytesField(1, encodeNode(node))), bytesField(4, versions));
  const metaInfo = message(stringField(4, 'serve'));
  const functions = Object.entries(signatures).map(([name, signature]) =>
    bytesField(5, message(stringField(1, name), bytesField(2, encodeSignature(signature)))),
  );
  const metaGraph = message(bytesField(1, metaInfo), bytesField(2, graphDef), ...functions);
  return message(varintField(1, 1), bytesField(2, metaGraph)).list;
}

function encodeSignature({ inputs, outputs }: Signature): Chunks {
  const tensors = (field: number, of: Signature['inputs']): Chunks[] =>
    Object.entries(of).map(([name, { output, shape, dtype }]) => {
      const info = message(
        stringField(1, `${output.node.name}:${output.index}`),
        varintField(2, dtype),
        bytesField(3, encodeShape(shape)),
      );
      return bytesField(field, message(stringField(1, name), bytesField(2, info)));
    });
  return message(...tensors(1, inputs), ...tensors(2, outputs), stringField(3, 'tensorflow/serving/predict'));
}

function encodeNode(node: GraphNode): Chunks {
  return message(
    stringField(1, node.name),
    stringField(2, node.op),
    ...node.inputs.map((input) =>
      stringField(3, input.index === 0 ? input.node.name : `${input.node.name}:${input.index}`),
    ),
    ...(node.controls ?? []).map((control) => stringField(3, `^${control.name}`)),
    ...[...node.attributes].map(([name, value]) => attributeField(name, encodeAttribute(value))),
    ...(node.value === undefined ? [] : [attributeField('value', bytesField(8, encodeConstant(node)))]),
  );
}

function attributeField(name: string, value: Chunks): Chunks {
  return bytesField(5, message(stringField(1, name), bytesField(2, value)));
}

function encodeAttribute(attribute: AttributeValue): Chunks {
  switch (attribute.type) {
    case 'string':
      return stringField(2, attribute.value);
    case 'int':
      return varintField(3, attribute.value);
    case 'float':
      return floatField(4, attribute.value);
    case 'bool':
      return varintField(5, attribute.value ? 1 : 0);
    case 'type':
      return varintField(6, attribute.value);
    case 'shape':
      return bytesField(7, encodeShape(attribute.value));
    case 'strings':
      return bytesField(1, message(...attribute.value.map((value) => stringField(2, value))));
    case 'types':
      return bytesField(1, message(...attribute.value.map((value) => varintField(6, value))));
    case 'ints':
      return bytesField(1, message(...attribute.value.map((value) => varintField(3, value))));
  }
}

function encodeShape(shape: readonly number[]): Chunks {
  return message(...shape.map((size) => bytesField(2, varintField(1, size))));
}

function encodeConstant(node: GraphNode): Chunks {
  const { shape, dtype } = node.outputs[0] as TensorType;
  const value = node.value as NonNullable<GraphNode['value']>;
  const content = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return message(
    varintField(1, dtype),
    bytesField(2, encodeShape(shape)),
    bytesField(4, { list: [content], length: content.byteLength }),
  );
}

function message(...fields: readonly Chunks[]): Chunks {
  return { list: fields.flatMap((field) => field.list), length: fields.reduce((sum, field) => sum + field.length, 0) };
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function varintField(field: number, value: number): Chunks {
  const bytes = Uint8Array.from([...varint(field << 3), ...varint(value)]);
  return { list: [bytes], length: bytes.length };
}

function floatField(field: number, value: number): Chunks {
  const bytes = Uint8Array.from([...varint((field << 3) | 5), ...new Uint8Array(Float32Array.of(value).buffer)]);
  return { list: [bytes], length: bytes.length };
}

function bytesField(field: number, body: Chunks): Chunks {
  const header = Uint8Array.from([...varint((field << 3) | 2), ...varint(body.length)]);
  return { list: [header, ...body.list], length: header.length + body.length };
}

function stringField(field: number, text: string): Chunks {
  const bytes = encoder.encode(text);
  return bytesField(field, { list: [bytes], length: bytes.length });
}
