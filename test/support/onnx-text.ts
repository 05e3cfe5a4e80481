import type { ModelProto, NodeProto, TensorProto } from '../../src/formats/onnx/proto.ts';

/**
 * The nodes of an ONNX model as text, one a line, attributes in the order of their names; the integers that shape
 * operators read stand in the place of their names:
 *
 *     y = Reshape(x, [2, -1])
 *     z = Softmax(y) axis=1
 */
export function onnxText({ graph }: ModelProto): string {
  const constants = new Map(
    (graph?.initializer ?? []).map((tensor) => [tensor.name ?? '', smallNumbers(tensor)]),
  );
  return (graph?.node ?? [])
    .map((node) => {
      const inputs = (node.input ?? []).map((name) => constants.get(name) ?? name);
      return `${node.output?.join(', ')} = ${node.opType}(${inputs.join(', ')})${attributes(node)}`;
    })
    .join('\n');
}

function attributes({ attribute }: NodeProto): string {
  return (attribute ?? [])
    .map(
      ({ name, i, f, s, ints }) =>
        ` ${name}=${ints ? `[${ints.join(', ')}]` : s ? new TextDecoder().decode(s) : (f ?? i)}`,
    )
    .sort()
    .join('');
}

/** `[1, 2]` for a tensor that the writer named after its own numbers. */
function smallNumbers({ name }: TensorProto): string | undefined {
  return /^(?:int64|float32)(\[.*\])$/.exec(name ?? '')?.[1]?.replaceAll(',', ', ');
}
