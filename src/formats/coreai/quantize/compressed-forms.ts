import { RequestError } from '../../../errors.ts';
import type { FloatTensor } from '../../../quantize/float-tensor.ts';
import { LinearWeight } from '../../../quantize/linear.ts';
import { packedSize } from '../../../quantize/palette/pack-indices.ts';
import type { WeightError } from '../../../quantize/palette/palette.ts';
import { palettize } from '../../../quantize/palette/palettized-weight.ts';
import type { LinearForm, PaletteForm, QuantizableWeight, WeightForm } from '../../../quantize/plan.ts';
import { float16Bits } from '../../../weights/convert-dtype.ts';
import { elementCount } from '../../../weights/dtype.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import { type FixedType, type FixedValue, OperationWriter, tensorType } from '../lower/operation-writer.ts';
import type { Element, Operation, Value } from '../program.ts';

/** A weight that is quantised: a constant of a program. */
export interface ProgramWeight extends QuantizableWeight {
  readonly dtype: 'f16' | 'f32';
  readonly tensor: FloatTensor;
  /** What the operations of the program read. */
  readonly value: Value;
}

/** A weight in a form in which Core AI stores it: runtimes expand it when they load or compute with it. */
export interface CompressedForm {
  /** Operations that give the weight's value, the last one itself. */
  readonly operations: readonly Operation[];
  /** Bytes of what is stored. */
  readonly byteLength: number;
  error(): Promise<WeightError>;
}

/** Puts a weight into a form, whose groups divide its channels. Throws `RequestError` for forms that Core AI does not have, or that only others read. */
export function compressedForm(weight: ProgramWeight, form: WeightForm): CompressedForm {
  return form.kind === 'linear' ? blocks(weight, form) : palettes(weight, form);
}

/** Indices, and a table for each group of output channels, or for all. */
function palettes(weight: ProgramWeight, form: PaletteForm): CompressedForm {
  if (form.int8Palette || form.channelScales) throw floatPalettes();
  const { bits, groupSize } = form;
  const { shape, dtype, tensor } = weight;
  const groups = groupSize ? (shape[0] ?? 1) / groupSize : 1;
  const palettized = palettize(tensor, { bits, groups });
  const parts = new Parts(weight);
  const indices = parts.stored(
    'indices',
    tensorType(`u${bits}`, shape),
    packedSize(elementCount(shape), bits),
    {
      stream: () => palettized.indices(),
      prepare: () => palettized.prepare(),
    },
  );
  const tables = [groups, ...shape.slice(1).map(() => 1), 2 ** bits, 1];
  const palette = parts.stored('palette', tensorType(dtype, tables), groups * 2 ** bits * width(dtype), {
    async *stream() {
      for (const { entries } of await palettized.palettes()) yield fractions(entries, dtype);
    },
  });
  const axis = parts.write.filled(tensorType('i16', []), 0);
  return parts.form('primitive.lut_to_dense_v1', [indices, palette, axis], () => palettized.error());
}

/** Whole numbers, with a scale for each block of input channels of an output channel. */
function blocks(weight: ProgramWeight, form: LinearForm): CompressedForm {
  if (form.matMulNBits) throw onnxOnly();
  const { bits, symmetric } = form;
  const { shape, dtype, tensor, outputAxis, inputAxis } = weight;
  const size = form.blockSize ?? shape[inputAxis] ?? 1;
  const blockShape = shape.map((all, axis) => (axis === outputAxis ? 1 : axis === inputAxis ? size : all));
  const linear = new LinearWeight(tensor, { bits, symmetric, blockShape, dtype, scalesApart: bits === 8 });
  const counts = linear.blockCounts;
  const element: Element = symmetric ? `i${bits}` : `u${bits}`;
  const parts = new Parts(weight);
  const scales = elementCount(counts);
  const data = parts.stored('data', tensorType(element, shape), packedSize(elementCount(shape), bits), {
    stream: () => linear.data(),
  });
  const scale = parts.stored('scale', tensorType(dtype, counts), scales * width(dtype), {
    stream: () => once(linear.scales()),
  });
  const zeros = tensorType(element, counts);
  const zero = symmetric
    ? parts.write.filled(zeros, 0)
    : parts.stored('zero_point', zeros, packedSize(scales, bits), { stream: () => once(linear.zeros()) });
  const shift = parts.write.filled(tensorType(dtype, counts), 0);
  const operands = [data, scale, zero, shift];
  return parts.form('primitive.blockwise_shift_scale_v2', operands, () => linear.error());
}

/** The operations and stored tensors of one weight. */
class Parts {
  readonly write = new OperationWriter();
  readonly #weight: ProgramWeight;
  #byteLength = 0;

  constructor(weight: ProgramWeight) {
    this.#weight = weight;
  }

  stored(
    part: string,
    type: FixedType,
    byteLength: number,
    streams: Pick<TensorStream, 'stream' | 'prepare'>,
  ): FixedValue {
    this.#byteLength += byteLength;
    return this.write.stored(type, { name: `${this.#weight.name}/${part}`, byteLength, ...streams });
  }

  form(name: string, operands: readonly FixedValue[], error: CompressedForm['error']): CompressedForm {
    const last = { name, operands, results: [this.#weight.value], properties: [], regions: [] };
    return { operations: [...this.write.operations, last], byteLength: this.#byteLength, error };
  }
}

async function* once(bytes: Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await bytes;
}

function fractions(values: ArrayLike<number>, dtype: 'f16' | 'f32'): Uint8Array {
  const stored = dtype === 'f16' ? Uint16Array.from(values, float16Bits) : Float32Array.from(values);
  return new Uint8Array(stored.buffer);
}

function width(dtype: 'f16' | 'f32'): number {
  return dtype === 'f16' ? 2 : 4;
}

function floatPalettes(): RequestError {
  return new RequestError({
    problem:
      'Core AI models have palettes of float numbers, one a weight or one for each group of output channels.',
    advice: 'Leave out what rounds or scales palettes, or pass --mode linear, whose scales have groups.',
  });
}

function onnxOnly(): RequestError {
  return new RequestError({
    problem: 'MatMulNBits is an operator of ONNX, and Core AI has none like it.',
    advice: 'Leave it out: Core AI computes with 4-bit weights of any linear mode.',
  });
}
