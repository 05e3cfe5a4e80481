import { RequestError, UnsupportedModelError } from '../../errors.ts';
import type { FloatTensor } from '../../quantize/float-tensor.ts';
import { LinearWeight } from '../../quantize/linear.ts';
import type { PaletteBits, WeightError } from '../../quantize/palette/palette.ts';
import { type PalettizedWeight, palettize } from '../../quantize/palette/palettized-weight.ts';
import type { LinearForm, PaletteForm, QuantizableWeight, WeightForm } from '../../quantize/plan.ts';
import { float16Bits } from '../../weights/convert-dtype.ts';
import { elementCount } from '../../weights/dtype.ts';
import type { TensorStream } from '../../weights/tensor-stream.ts';
import { onnxNode } from './onnx-writer.ts';
import { dataTypes, type NodeProto } from './proto.ts';

/**
 * Forms of quantised weights in ONNX models: the stored tensors, and the nodes that compute the weight from them, under its
 * own name. All are standard operators but MatMulNBits.
 *
 * A palette is looked up byte by byte: a byte holds 8/bits indices, so a table of 256 rows, each the 8/bits numbers that a
 * byte stands for, gives them with one Gather and without a bit operation. It takes any opset and any runtime, and runs
 * faster than ONNX's own 4-bit integers. Indices of 3 and 6 bits do not fill bytes: they are stored in two parts of 2 and 1
 * or 4 bits, whose tables hold whole numbers that add up to the index.
 */
export interface OnnxForm {
  /** Stored tensors. */
  readonly parts: readonly OnnxPart[];
  readonly nodes: readonly NodeProto[];
  /** Small constants that weights share; stored once per name. */
  readonly constants: readonly OnnxConstant[];
  error(): Promise<WeightError>;
}

/** A tensor whose bytes are computed when they are written. */
export interface OnnxPart extends TensorStream {
  /** TensorProto.DataType. */
  readonly dataType: number;
  readonly dims: readonly number[];
}

/** A constant of whole numbers. */
export interface OnnxConstant {
  readonly name: string;
  readonly dims: readonly number[];
  readonly data: Int32Array | BigInt64Array;
}

/** The weight that is quantised: an initializer. */
export interface OnnxWeight extends QuantizableWeight {
  readonly dtype: 'f16' | 'f32';
  readonly tensor: FloatTensor;
}

/** TensorProto.DataType of 4-bit integers, two a byte, the first in the lower half (opset 21). */
export const UINT4 = 21;
/** The same, signed. */
export const INT4 = 22;

/**
 * Puts a weight into a form; `undefined` where it does not fit (indices that do not fill bytes). Throws `RequestError` for
 * forms that ONNX does not have, `UnsupportedModelError` for those that the model's opset does not have.
 */
export function onnxForm(weight: OnnxWeight, form: WeightForm, opset: number): OnnxForm | undefined {
  return form.kind === 'linear' ? dequantized(weight, form, opset) : paletteLookup(weight, form);
}

function paletteLookup(
  weight: OnnxWeight,
  { bits, groupSize, int8Palette, channelScales }: PaletteForm,
): OnnxForm | undefined {
  if (groupSize !== undefined || int8Palette || channelScales) throw onePalette();
  const { name, shape, tensor } = weight;
  const count = elementCount(shape);
  if (count % 8 !== 0) return undefined;
  const palettized = palettize(tensor, { bits, groups: 1 });
  const indices = (part: IndexPart): OnnxPart => ({
    name: `${name}/indices${part.from === 0 ? '' : '_high'}`,
    dataType: dataTypes.u8,
    dims: part.bits === 8 ? shape : [(count * part.bits) / 8],
    byteLength: (count * part.bits) / 8,
    stream: () => palettized.indices(part),
    prepare: () => palettized.prepare(),
  });
  const stored = indexParts(bits);
  const [whole] = stored;
  const palette =
    stored.length === 1 && whole
      ? byteTable(weight, palettized, whole.bits)
      : byteTable(weight, palettized, 8, bits);
  const target: OnnxConstant = {
    name: `int64[${shape.join(',')}]`,
    dims: [shape.length],
    data: BigInt64Array.from(shape, BigInt),
  };
  const parts = stored.map(indices);
  const error = () => palettized.error();
  const rows = parts.map((part) => onnxNode('Cast', [part.name], `${part.name}/rows`, { to: dataTypes.i32 }));
  if (parts.length === 1) {
    const [part] = parts;
    const from = `${part?.name}/rows`;
    const nodes =
      bits === 8
        ? [...rows, onnxNode('Gather', [palette.name, from], name, { axis: 0 })]
        : [
            ...rows,
            onnxNode('Gather', [palette.name, from], `${name}/bytes`, { axis: 0 }),
            onnxNode('Reshape', [`${name}/bytes`, target.name], name),
          ];
    return { parts: [...parts, palette], nodes, constants: bits === 8 ? [] : [target], error };
  }
  const tables = stored.map(indexTable);
  const numbers = parts.flatMap((part, at) => [
    onnxNode('Gather', [tables[at]?.name ?? '', `${part.name}/rows`], `${part.name}/numbers`, { axis: 0 }),
    onnxNode('Reshape', [`${part.name}/numbers`, target.name], `${part.name}/shaped`),
  ]);
  return {
    parts: [...parts, palette],
    nodes: [
      ...rows,
      ...numbers,
      onnxNode(
        'Add',
        parts.map((part) => `${part.name}/shaped`),
        `${name}/numbers`,
      ),
      onnxNode('Gather', [palette.name, `${name}/numbers`], name, { axis: 0 }),
    ],
    constants: [target, ...tables],
    error,
  };
}

/** Part of an index: `bits` bits from bit `from` on. */
interface IndexPart {
  readonly from: number;
  readonly bits: 1 | 2 | 4 | 8;
}

/** Splits an index into parts that fill bytes. */
function indexParts(bits: PaletteBits): readonly IndexPart[] {
  if (bits === 3)
    return [
      { from: 0, bits: 2 },
      { from: 2, bits: 1 },
    ];
  if (bits === 6)
    return [
      { from: 0, bits: 2 },
      { from: 2, bits: 4 },
    ];
  return [{ from: 0, bits }];
}

/** Table of the 8/bits palette entries that each byte's indices select; with 8 bits, the palette of `size` bits itself. */
function byteTable(
  { name, dtype }: OnnxWeight,
  palettized: PalettizedWeight,
  bits: 1 | 2 | 4 | 8,
  size: PaletteBits = bits,
): OnnxPart {
  const perByte = 8 / bits;
  const rows = perByte === 1 ? 2 ** size : 256;
  return {
    name: `${name}/palette`,
    dataType: dataTypes[dtype],
    dims: perByte === 1 ? [rows] : [rows, perByte],
    byteLength: rows * perByte * (dtype === 'f16' ? 2 : 4),
    async *stream() {
      const [palette] = await palettized.palettes();
      const values = Float64Array.from({ length: rows * perByte }, (_, at) => {
        return palette?.entries[indexIn(Math.floor(at / perByte), at % perByte, bits)] ?? 0;
      });
      const stored = dtype === 'f16' ? Uint16Array.from(values, float16Bits) : Float32Array.from(values);
      yield new Uint8Array(stored.buffer);
    },
  };
}

/** Table of the share that each byte's parts have in their indices; one for all weights, which are a thousand. */
function indexTable({ from, bits }: IndexPart): OnnxConstant {
  const name = `bits[${from},${from + bits}]`;
  const known = indexTables.get(name);
  if (known) return known;
  const perByte = 8 / bits;
  const data = Int32Array.from({ length: 256 * perByte }, (_, at) => {
    return indexIn(Math.floor(at / perByte), at % perByte, bits) << from;
  });
  const table = { name, dims: [256, perByte], data };
  indexTables.set(name, table);
  return table;
}

const indexTables = new Map<string, OnnxConstant>();

function indexIn(byte: number, place: number, bits: number): number {
  return (byte >> (place * bits)) & ((1 << bits) - 1);
}

function dequantized(weight: OnnxWeight, form: LinearForm, opset: number): OnnxForm {
  const { name, shape, outputAxis, inputAxis, dtype } = weight;
  const { bits, symmetric, blockSize } = form;
  checkOpset(weight, form, opset);
  const linear = new LinearWeight(weight.tensor, {
    bits,
    symmetric,
    blockShape: shape.map((size, axis) => {
      // With blocks, ONNX needs a scale for every position along the other axes.
      if (blockSize) return axis === inputAxis ? blockSize : 1;
      return axis === outputAxis ? 1 : size;
    }),
    dtype,
  });
  const dims = blockSize ? linear.blockCounts : [shape[outputAxis] ?? 1];
  const scales = elementCount(dims);
  const dataType = bits === 8 ? (symmetric ? dataTypes.i8 : dataTypes.u8) : symmetric ? INT4 : UINT4;
  const parts: OnnxPart[] = [
    {
      name: `${name}/quantized`,
      dataType,
      dims: shape,
      byteLength: Math.ceil((elementCount(shape) * bits) / 8),
      stream: () => linear.data(),
    },
    {
      name: `${name}/scale`,
      dataType: dataTypes[dtype],
      dims,
      byteLength: scales * (dtype === 'f16' ? 2 : 4),
      stream: () => once(linear.scales()),
    },
  ];
  if (!symmetric) {
    const byteLength = Math.ceil((scales * bits) / 8);
    parts.push({
      name: `${name}/zero_point`,
      dataType,
      dims,
      byteLength,
      stream: () => once(linear.zeros()),
    });
  }
  const attributes = blockSize ? { axis: inputAxis, block_size: blockSize } : { axis: outputAxis };
  const inputs = parts.map((part) => part.name);
  return {
    parts,
    nodes: [onnxNode('DequantizeLinear', inputs, name, attributes)],
    constants: [],
    error: () => linear.error(),
  };
}

function checkOpset({ dtype }: OnnxWeight, { bits, blockSize }: LinearForm, opset: number): void {
  const needed = bits === 4 || blockSize ? 21 : dtype === 'f16' ? 19 : 13;
  if (opset >= needed) return;
  throw new UnsupportedModelError({
    problem: `the model is written for opset ${opset}, and DequantizeLinear takes ${bits === 4 ? '4 bits' : blockSize ? 'blocks' : 'float16 scales'} only from opset ${needed} on.`,
    advice:
      'Use a palette (--mode palette), which every opset has, or convert the checkpoint with sdconvert.',
  });
}

function onePalette(): RequestError {
  return new RequestError({
    problem: 'ONNX models have one palette a weight, of float numbers.',
    advice:
      'Leave out what groups, rounds or scales palettes, or pass --mode linear, whose scales have groups.',
  });
}

async function* once(bytes: Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await bytes;
}
