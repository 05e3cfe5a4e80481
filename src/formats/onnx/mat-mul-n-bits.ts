import { LinearWeight } from '../../quantize/linear.ts';
import type { LinearForm } from '../../quantize/plan.ts';
import { transposed } from '../../quantize/transposed.ts';
import type { OnnxForm, OnnxPart, OnnxWeight } from './compressed-forms.ts';
import { onnxNode } from './onnx-writer.ts';
import { dataTypes, type NodeProto } from './proto.ts';

/** A layer that multiplies with a matrix and nothing else: Gemm or MatMul. */
export interface MatrixLayer {
  readonly node: NodeProto;
  /** Dtype of its arithmetic. */
  readonly dtype: 'f16' | 'f32';
}

/** Blocks that MatMulNBits takes: powers of two from 16 on. */
const DEFAULT_BLOCK = 32;

/** Elements of a symmetric weight are stored as the number plus 8, which MatMulNBits subtracts again. */
const MIDDLE = 8;

/**
 * Layers as MatMulNBits, which onnxruntime multiplies with without unfolding the weight, on WebGPU too
 * (onnxruntime, docs/ContribOperators.md, com.microsoft.MatMulNBits). The weight [N, K] is stored row by row, each row in
 * blocks of K with a scale each. `undefined` where blocks do not fit the weight.
 */
export function matMulNBits(
  weight: OnnxWeight,
  layers: readonly MatrixLayer[],
  { symmetric, blockSize = DEFAULT_BLOCK }: LinearForm,
): OnnxForm | undefined {
  const { name, shape, inputAxis, outputAxis } = weight;
  const [rows = 0, columns = 0] = [shape[outputAxis], shape[inputAxis]];
  const blocks = columns / blockSize;
  const [first] = layers;
  const fits = Number.isInteger(blocks) && blockSize >= 16 && Number.isInteger(Math.log2(blockSize));
  if (shape.length !== 2 || !fits || !first || layers.some(({ dtype }) => dtype !== first.dtype))
    return undefined;
  const tensor = outputAxis === 0 ? weight.tensor : transposed(weight.tensor);
  const linear = new LinearWeight(tensor, {
    bits: 4,
    symmetric,
    blockShape: [1, blockSize],
    dtype: first.dtype,
  });
  const parts: OnnxPart[] = [
    {
      name: `${name}/quantized`,
      dataType: dataTypes.u8,
      dims: [rows, blocks, blockSize / 2],
      byteLength: (rows * columns) / 2,
      stream: () => linear.data(symmetric ? MIDDLE : 0),
    },
    {
      name: `${name}/scale`,
      dataType: dataTypes[first.dtype],
      dims: [rows * blocks],
      byteLength: rows * blocks * (first.dtype === 'f16' ? 2 : 4),
      stream: async function* () {
        yield await linear.scales();
      },
    },
  ];
  if (!symmetric) {
    const byteLength = rows * Math.ceil(blocks / 2);
    parts.push({
      name: `${name}/zero_point`,
      dataType: dataTypes.u8,
      dims: [byteLength],
      byteLength,
      stream: async function* () {
        yield await linear.zeros(blocks);
      },
    });
  }
  const stored = parts.map((part) => part.name);
  const attributes = { K: columns, N: rows, bits: 4, block_size: blockSize };
  const nodes = layers.map(({ node: { input, output } }) => {
    const [x = '', , bias] = input ?? [];
    const inputs = bias ? [x, ...stored, ...(symmetric ? [''] : []), '', bias] : [x, ...stored];
    return { ...onnxNode('MatMulNBits', inputs, output?.[0] ?? '', attributes), domain: 'com.microsoft' };
  });
  return { parts, nodes, constants: [], error: () => linear.error() };
}
