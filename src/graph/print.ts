import { formatDim, type SymbolicDim } from './dim.ts';
import type { Graph } from './graph.ts';
import { formatShape } from './shape.ts';
import type { Tensor } from './tensor.ts';

/**
 * The graph as text, one tensor a line, for reading and for tests:
 *
 *     input sample: f32 [1, 4, 8, 8]
 *     conv_in = conv2d(sample, conv_in.weight [16, 4, 3, 3], conv_in.bias [16]) stride=1 pads=1: f32 [1, 16, 8, 8]
 *     return noise_pred = conv_in
 */
export function printGraph(graph: Graph): string {
  const lines = graph.tensors.flatMap((tensor) => {
    const { op, name } = tensor;
    if (op.kind === 'weight' || op.kind === 'constant') return [];
    const type = `${tensor.dtype} ${formatShape(tensor.shape)}`;
    if (op.kind === 'input') return [`input ${name}: ${type}`];
    return [
      `${name} = ${op.kind}(${tensor.inputs.map(printOperand).join(', ')})${printAttributes(op)}: ${type}`,
    ];
  });
  return [...lines, ...graph.outputs.map(({ name, tensor }) => `return ${name} = ${tensor.name}`)].join('\n');
}

function printOperand({ op, name, dtype, shape }: Tensor): string {
  if (op.kind === 'weight') return `${name} ${dtype === 'f32' ? '' : `${dtype} `}${formatShape(shape)}`;
  if (op.kind !== 'constant') return name;
  return op.data.length === 1 ? String(op.data[0]) : `constant ${formatShape(shape)}`;
}

function printAttributes({ kind, ...attributes }: Tensor['op']): string {
  return Object.entries(attributes)
    .map(([name, value]) => ` ${name}=${printAttribute(value)}`)
    .join('');
}

function printAttribute(value: unknown): string {
  if (Array.isArray(value)) return formatShape(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (isSymbolic(value)) return formatDim(value);
  const sides = Object.values(value);
  return new Set(sides).size === 1 ? String(sides[0]) : `[${sides.join(', ')}]`;
}

function isSymbolic(value: object): value is SymbolicDim {
  return 'terms' in value && 'divisor' in value;
}
